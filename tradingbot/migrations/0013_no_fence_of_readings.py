"""A reading replaces an older one by when it began; the lease's fence is not asked any more."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("tradingbot", "0012_order_status_at")]

    operations = [migrations.RemoveField(model_name="snapshot", name="fence")]
