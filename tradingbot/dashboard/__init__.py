"""What a browser and a supervisor look at: the chart of a day, whether we are healthy, what our state is."""
