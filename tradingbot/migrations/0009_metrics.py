from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('tradingbot', '0004_stream'),
    ]

    operations = [
        migrations.AlterField(
            model_name='login',
            name='entries_blocked',
            field=models.CharField(blank=True, help_text='why no entry may be sent, empty if it may', max_length=500),
        ),
    ]
