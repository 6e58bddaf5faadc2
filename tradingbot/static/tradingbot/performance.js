// Equity and drawdown of the performance page: one point a session, from the page itself.
"use strict";

(() => {
    const rows = document.getElementById("curve");
    if (!rows) return;

    const curve = JSON.parse(rows.textContent);
    const dark = () => document.documentElement.classList.contains("dark");
    const dollars = (value) => (value < 0 ? "-$" : "$") + Math.abs(value).toLocaleString("en-US", { maximumFractionDigits: 0 });
    const format = { type: "custom", minMove: 0.01, formatter: dollars };
    const fromZero = (original) => {
        const info = original();
        if (info === null) return info;
        const { minValue, maxValue } = info.priceRange;
        return { ...info, priceRange: { minValue: Math.min(0, minValue), maxValue: Math.max(0, maxValue) } };
    };
    const charts = ["equity", "drawdown"].map((name) =>
        LightweightCharts.createChart(document.getElementById(name), { autoSize: true }));
    const [equity, drawdown] = charts;
    const result = { baseValue: { type: "price", price: 0 }, priceFormat: format, autoscaleInfoProvider: fromZero };
    equity.addSeries(LightweightCharts.BaselineSeries, result)
        .setData(curve.map((row) => ({ time: row.time, value: row.total })));
    const falls = drawdown.addSeries(LightweightCharts.HistogramSeries, { priceFormat: format });
    falls.setData(curve.map((row) => ({ time: row.time, value: row.fall })));

    const dress = () => {
        const grid = dark() ? "#1f2937" : "#eef0f3";
        charts.forEach((chart) => chart.applyOptions({
            layout: { background: { type: "solid", color: "transparent" }, textColor: dark() ? "#d1d5db" : "#374151", attributionLogo: true },
            grid: { vertLines: { color: grid }, horzLines: { color: grid } },
            rightPriceScale: { borderColor: grid, minimumWidth: 80 },
            timeScale: { borderColor: grid },
        }));
        falls.applyOptions({ color: dark() ? "#f87171" : "#b91c1c" });
    };
    new MutationObserver(dress).observe(document.documentElement, { attributes: true, attributeFilter: ["class"] });
    dress();
    charts.forEach((chart) => chart.timeScale().fitContent());
    equity.timeScale().subscribeVisibleLogicalRangeChange((range) => range && drawdown.timeScale().setVisibleLogicalRange(range));
})();
