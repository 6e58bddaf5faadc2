from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("tradingbot", "0001_initial")]

    operations = [
        migrations.AddField(
            model_name="order",
            name="breakeven_offset_ticks",
            field=models.IntegerField(default=0, help_text="of an entry: from there to its stop, with it"),
        ),
        migrations.AddField(
            model_name="order",
            name="trail_ticks",
            field=models.PositiveIntegerField(
                blank=True, help_text="of an entry: its stop behind the best price since the fill", null=True
            ),
        ),
        migrations.AddField(
            model_name="order",
            name="partials",
            field=models.JSONField(
                blank=True,
                default=list,
                help_text="of an entry: [multiple of the stop, share] closed before the target",
            ),
        ),
        migrations.AddField(
            model_name="order",
            name="hold",
            field=models.DurationField(blank=True, help_text="of an entry: closed so long after its fill", null=True),
        ),
        migrations.AddField(
            model_name="order",
            name="adds",
            field=models.BooleanField(default=False, help_text="of an entry: adds to a position"),
        ),
    ]
