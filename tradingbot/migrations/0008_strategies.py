import django.core.validators
from django.db import migrations, models

SHARING = [("deny", "the second is denied"), ("net", "both may, their positions net")]


def _sharing():
    return models.CharField(
        choices=SHARING,
        default="deny",
        help_text="when a second strategy wants a contract that another one has orders or a position in",
        max_length=8,
        verbose_name="two strategies on one contract",
    )


def _max_strategies():
    return models.PositiveSmallIntegerField(
        blank=True,
        help_text="strategies that may have orders or positions at the same time; empty is no limit",
        null=True,
        validators=[django.core.validators.MinValueValidator(1)],
        verbose_name="most strategies at work",
    )


class Migration(migrations.Migration):
    dependencies = [("tradingbot", "0007_accounting")]

    operations = [
        migrations.AddField(model_name=model, name=name, field=field())
        for model in ("account", "historicalaccount")
        for name, field in (("sharing", _sharing), ("max_strategies", _max_strategies))
    ]
