import pandas as pd

weather = pd.read_csv("../data/weather.csv", parse_dates=["day"])
print(weather.groupby("city")["degrees"].agg(["mean", "max"]))
print("warmest day:", weather.loc[weather["degrees"].idxmax(), "day"].date())
