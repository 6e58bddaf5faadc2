"""Every address of the web process."""

from __future__ import annotations

from django.contrib import admin
from django.urls import include, path, register_converter
from django.views.generic import RedirectView

from tradingbot.admin import account_rules, budgets, figures, front, orders, performance, steering
from tradingbot.dashboard import chart, health, metrics
from tradingbot.dashboard.dates import DateConverter

admin.autodiscover()
register_converter(DateConverter, "date")

urlpatterns = [
    path("", RedirectView.as_view(pattern_name="admin:index"), name="home"),
    path("admin/front/", front.part, name="front"),
    path("admin/halt/", admin.site.admin_view(steering.halt_all), name="halt-all"),
    path("admin/reduce-only/", admin.site.admin_view(steering.reduce_all), name="reduce-all"),
    path("admin/resume/", admin.site.admin_view(steering.resume_all), name="resume-all"),
    path("admin/flatten/", admin.site.admin_view(steering.flatten_all), name="flatten-all"),
    path("admin/orders/cancel/", admin.site.admin_view(orders.cancel_chosen), name="cancel-orders"),
    path("admin/figures/", admin.site.admin_view(figures.page), name="figures"),
    path("admin/budgets/", admin.site.admin_view(budgets.page), name="budgets"),
    path("admin/performance/", admin.site.admin_view(performance.page), name="performance"),
    path("admin/performance/<str:kind>/<int:pk>/", admin.site.admin_view(performance.page), name="performance-of"),
    path("admin/rulebook/", admin.site.admin_view(account_rules.rulebook), name="rulebook"),
    path("admin/rules/<int:pk>/", admin.site.admin_view(account_rules.account), name="account-rules"),
    path("admin/rules/<int:pk>/override/", admin.site.admin_view(account_rules.override), name="override"),
    path("admin/rules/<int:pk>/personal/", admin.site.admin_view(account_rules.personal), name="personal"),
    path("admin/", admin.site.urls),
    path("chart/", chart.newest, name="chart"),
    path("chart/lightweight-charts-<str:version>.js", chart.library, name="chart-library"),
    path("chart/<str:symbol>/", chart.page, name="chart-today"),
    path("chart/<str:symbol>/<date:day>/", chart.page, name="chart-day"),
    path("chart/<str:symbol>/<date:day>/data", chart.data, name="chart-data"),
    path("health", health.health, name="health"),
    path("status", health.state, name="status"),
    path("metrics", metrics.metrics, name="metrics"),
    path("api/", include("tradingbot.api.urls")),
]
