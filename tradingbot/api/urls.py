"""Addresses of the REST API, version 1, its schema and its documentation."""

from __future__ import annotations

from django.contrib.admin.views.decorators import staff_member_required
from django.urls import include, path
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerView
from rest_framework.permissions import IsAdminUser
from rest_framework.routers import SimpleRouter

from tradingbot.api import states, views
from tradingbot.api.orders import OrderViewSet
from tradingbot.api.performance import PerformanceView
from tradingbot.api.tokens import TokenView

router = SimpleRouter()
router.register("accounts", views.AccountViewSet)
router.register("positions", views.PositionViewSet)
router.register("orders", OrderViewSet)
router.register("trades", views.TradeViewSet)
router.register("decisions", views.DecisionViewSet)
router.register("strategies", views.StrategyViewSet)

urlpatterns = [
    path("v1/", include(router.urls)),
    path("v1/performance/", PerformanceView.as_view(), name="performance-figures"),
    path("v1/emergency-stop/", views.EmergencyStop.as_view(), name="emergency-stop"),
    path("v1/trading-state/", states.Overall.as_view(), name="trading-state"),
    path("v1/accounts/<int:pk>/trading-state/", states.OfAccount.as_view(), name="account-trading-state"),
    path("v1/accounts/<int:pk>/permit/", states.Permit.as_view(), name="account-permit"),
    path("v1/token/", TokenView.as_view(), name="api-token"),
    path("schema/", SpectacularAPIView.as_view(permission_classes=[IsAdminUser]), name="api-schema"),
    path(
        "docs/",
        staff_member_required(SpectacularSwaggerView.as_view(url_name="api-schema", permission_classes=[IsAdminUser])),
        name="api-docs",
    ),
]
