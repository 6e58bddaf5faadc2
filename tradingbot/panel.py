"""The control panel's looks and navigation; `settings.UNFOLD` is this."""

from __future__ import annotations

from typing import Any

from django.utils.functional import lazy


def _reverse(name: str) -> str:
    from django.urls import reverse  # with all that a page needs, and most processes load these settings for none

    return reverse(name)


def _static(path: str) -> str:
    from django.templatetags.static import static

    return static(path)


_reverse_lazy = lazy(_reverse, str)


def _item(title: str, icon: str, model: str) -> dict[str, Any]:
    return {"title": title, "icon": icon, "link": _reverse_lazy(f"admin:{model}_changelist")}


UNFOLD: dict[str, Any] = {
    "SITE_TITLE": "tradingbot",
    "SITE_HEADER": "tradingbot",
    "SITE_SUBHEADER": "Autonomous futures trading",
    "SITE_SYMBOL": "candlestick_chart",
    "SITE_FAVICONS": [
        {"rel": "icon", "type": "image/svg+xml", "href": lambda request: _static("tradingbot/icon.svg")},
    ],
    "SITE_URL": None,
    "SHOW_VIEW_ON_SITE": False,
    "ENVIRONMENT": "tradingbot.admin.front.environment",
    "DASHBOARD_CALLBACK": "tradingbot.admin.front.dashboard",
    "STYLES": [lambda request: _static("tradingbot/panel.css")],
    "BORDER_RADIUS": "6px",
    "COLORS": {
        "primary": {
            "50": "oklch(97.7% .013 236.62)",
            "100": "oklch(95.1% .026 236.824)",
            "200": "oklch(90.1% .058 230.902)",
            "300": "oklch(82.8% .111 230.318)",
            "400": "oklch(74.6% .16 232.661)",
            "500": "oklch(68.5% .169 237.323)",
            "600": "oklch(58.8% .158 241.966)",
            "700": "oklch(50% .134 242.749)",
            "800": "oklch(44.3% .11 240.79)",
            "900": "oklch(39.1% .09 240.876)",
            "950": "oklch(29.3% .066 243.157)",
        },
    },
    "SIDEBAR": {
        "show_search": False,
        "navigation": [
            {
                "items": [{"title": "Control panel", "icon": "space_dashboard", "link": _reverse_lazy("admin:index")}],
            },
            {
                "title": "Trading",
                "items": [
                    _item("Accounts", "account_balance_wallet", "tradingbot_account"),
                    _item("Positions", "stacked_line_chart", "tradingbot_position"),
                    _item("Orders", "receipt_long", "tradingbot_order"),
                    _item("Fills", "done_all", "tradingbot_fill"),
                    _item("Trades", "swap_horiz", "tradingbot_trade"),
                    _item("Balances", "monitoring", "tradingbot_balance"),
                    {"title": "Performance", "icon": "trending_up", "link": _reverse_lazy("performance")},
                    _item("Results by day", "calendar_today", "tradingbot_dayresult"),
                    _item("Differences", "rule", "tradingbot_accountingdifference"),
                    _item("State changes", "history", "tradingbot_statechange"),
                ],
            },
            {
                "title": "Strategies",
                "separator": True,
                "items": [
                    _item("Strategies", "smart_toy", "tradingbot_strategy"),
                    _item("Decisions", "gavel", "tradingbot_decision"),
                    _item("Overnight ranges", "height", "tradingbot_overnightrange"),
                    _item("Session plan", "event_note", "tradingbot_sessionstep"),
                    _item("Backtests", "query_stats", "tradingbot_backtest"),
                    _item("Searches", "manage_search", "tradingbot_search"),
                ],
            },
            {
                "title": "Rules",
                "separator": True,
                "items": [
                    {"title": "Rulebook", "icon": "policy", "link": _reverse_lazy("rulebook")},
                    _item("Overrides", "edit_note", "tradingbot_ruleoverride"),
                    _item("Personal limits", "shield_person", "tradingbot_personalrules"),
                    _item("News events", "newspaper", "tradingbot_newsevent"),
                    _item("Payouts", "payments", "tradingbot_payout"),
                ],
            },
            {
                "title": "Market data",
                "separator": True,
                "items": [
                    {"title": "Chart", "icon": "candlestick_chart", "link": _reverse_lazy("chart")},
                    _item("Contracts", "description", "tradingbot_contract"),
                    _item("Bars by day", "bar_chart", "tradingbot_barday"),
                    _item("Second bars", "timer", "tradingbot_barhour"),
                    _item("Calendar", "calendar_month", "tradingbot_calendarday"),
                ],
            },
            {
                "title": "System",
                "separator": True,
                "items": [
                    _item("Notifications", "notifications", "tradingbot_notification"),
                    _item("Heartbeats", "ecg_heart", "tradingbot_heartbeat"),
                    _item("Beat schedule", "schedule", "django_celery_beat_periodictask"),
                    _item("API calls", "speed", "tradingbot_apimetric"),
                    _item("Samples", "monitoring", "tradingbot_sample"),
                    {"title": "Venue, cache and stream", "icon": "insights", "link": _reverse_lazy("figures")},
                    {"title": "Request budget", "icon": "data_usage", "link": _reverse_lazy("budgets")},
                    _item("Leases", "lock_clock", "tradingbot_lease"),
                    _item("Logins", "key", "tradingbot_login"),
                    _item("Users", "person", "auth_user"),
                    {"title": "API documentation", "icon": "api", "link": _reverse_lazy("api-docs")},
                ],
            },
        ],
    },
}
