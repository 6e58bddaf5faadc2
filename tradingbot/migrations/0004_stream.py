import django.db.models.deletion
import django.db.models.functions.datetime
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("tradingbot", "0003_backtests")]

    operations = [
        migrations.CreateModel(
            name="StreamEvent",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("fence", models.BigIntegerField(help_text="of the stream's lease")),
                (
                    "received_at",
                    models.DateTimeField(
                        db_default=django.db.models.functions.datetime.Now(), editable=False, help_text="machine time"
                    ),
                ),
                ("target", models.CharField(max_length=40)),
                ("record", models.TextField(help_text="the whole message")),
                (
                    "problem",
                    models.CharField(blank=True, help_text="why it could not be read", max_length=200),
                ),
                (
                    "login",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="stream_events",
                        to="tradingbot.login",
                    ),
                ),
            ],
            options={
                "ordering": ("-pk",),
                "indexes": [models.Index(fields=["received_at"], name="stream_event_received")],
            },
        ),
    ]
