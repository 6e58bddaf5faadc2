// The chart of one contract and day: candles, lines that live from one time to another, fills. Asks again while the
// session runs. Times arrive in epoch seconds; the library counts days in UTC, so it is given New York's clock as if it
// were UTC.
"use strict";

(() => {
    const box = document.getElementById("chart");
    if (!box) return;

    const REFRESH = 3000;
    const COLOURS = {
        range: ["#2563eb", "#60a5fa"],
        zone: ["#9333ea", "#c084fc"],
        entry: ["#b45309", "#fbbf24"],
        stop: ["#b91c1c", "#f87171"],
        target: ["#15803d", "#4ade80"],
        external: ["#6b7280", "#9ca3af"],
    };
    const LINE = { range: 0, zone: 2, entry: 1, stop: 0, target: 0, external: 1 };
    const chart = LightweightCharts.createChart(box, { autoSize: true });
    const candles = chart.addSeries(LightweightCharts.CandlestickSeries, { borderVisible: false });
    const markers = LightweightCharts.createSeriesMarkers(candles, []);
    const legend = document.getElementById("legend");
    const message = document.getElementById("message");
    let lines = [];
    let day = null;
    let minutes = Number(localStorage.getItem("chart-minutes")) || 1;
    let fitted = false;

    const dark = () => document.documentElement.classList.contains("dark");
    const colour = (kind) => (COLOURS[kind] || COLOURS.external)[dark() ? 1 : 0];

    const clock = (options) => {
        const format = new Intl.DateTimeFormat("en-US", { timeZone: "UTC", hourCycle: "h23", ...options });
        return (seconds) => format.format(new Date(seconds * 1000));
    };
    const hourMinute = clock({ hour: "2-digit", minute: "2-digit" });
    const dayMonth = clock({ day: "numeric", month: "short" });
    const full = clock({ day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" });

    const dress = () => {
        const text = dark() ? "#d1d5db" : "#374151";
        const grid = dark() ? "#1f2937" : "#eef0f3";
        chart.applyOptions({
            layout: { background: { type: "solid", color: "transparent" }, textColor: text, attributionLogo: true },
            grid: { vertLines: { color: grid }, horzLines: { color: grid } },
            rightPriceScale: { borderColor: grid },
            crosshair: { mode: LightweightCharts.CrosshairMode.Normal },
            localization: { timeFormatter: (time) => full(time) + " ET" },
            timeScale: {
                borderColor: grid,
                timeVisible: true,
                secondsVisible: false,
                rightOffset: 8,
                tickMarkFormatter: (time, type) => (type < 3 ? dayMonth(time) : hourMinute(time)),
            },
        });
        candles.applyOptions({
            upColor: dark() ? "#22c55e" : "#16a34a",
            downColor: dark() ? "#ef4444" : "#dc2626",
            wickUpColor: dark() ? "#22c55e" : "#16a34a",
            wickDownColor: dark() ? "#ef4444" : "#dc2626",
        });
    };

    // Bars are counted from the session's open, as the strategies count them.
    const grouped = (bars, opensAt) => {
        const length = minutes * 60;
        const groups = [];
        for (const [time, open, high, low, close] of bars) {
            const begins = opensAt + Math.floor((time - opensAt) / length) * length + day.new_york;
            const last = groups[groups.length - 1];
            if (last && last.time === begins) {
                last.high = Math.max(last.high, high);
                last.low = Math.min(last.low, low);
                last.close = close;
            } else {
                groups.push({ time: begins, open, high, low, close });
            }
        }
        return groups;
    };

    // The latest bar that opened at or before a time; lines and markers stand on bars, so that none makes a gap.
    const on = (bars, seconds) => {
        const time = seconds + day.new_york;
        let low = 0;
        let high = bars.length;
        while (low < high) {
            const middle = (low + high) >> 1;
            if (bars[middle].time <= time) low = middle + 1;
            else high = middle;
        }
        return bars[Math.max(0, low - 1)].time;
    };

    const draw = () => {
        const bars = grouped(day.bars, day.opens_at);
        const format = { type: "price", precision: day.decimals, minMove: day.tick };
        candles.applyOptions({ priceFormat: format });
        candles.setData(bars);
        lines.forEach((line) => chart.removeSeries(line));
        lines = [];
        markers.setMarkers([]);
        message.hidden = bars.length > 0;
        message.textContent = "No bar of this day is in the cache yet: they appear within seconds once the session is open, "
            + "and older days after manage.py history or import_bars.";
        if (!bars.length) return;
        for (const line of day.lines) {
            const from = on(bars, line.from);
            const until = on(bars, line.until);
            const series = chart.addSeries(LightweightCharts.LineSeries, {
                color: colour(line.kind),
                lineWidth: line.kind === "zone" || line.kind === "range" ? 1 : 2,
                lineStyle: LINE[line.kind] ?? 1,
                priceFormat: format,
                lastValueVisible: false,
                priceLineVisible: false,
                crosshairMarkerVisible: false,
                autoscaleInfoProvider: line.kind === "zone" ? () => null : undefined,
            });
            const points = [{ time: from, value: line.price }];
            if (until > from) points.push({ time: until, value: line.price });
            series.setData(points);
            lines.push(series);
        }
        markers.setMarkers(day.fills.map((fill) => ({
            time: on(bars, fill.time),
            position: fill.side === "buy" ? "belowBar" : "aboveBar",
            size: 1.5,
            shape: fill.side === "buy" ? "arrowUp" : "arrowDown",
            color: colour(fill.side === "buy" ? "target" : "stop"),
            text: fill.text,
        })));
        explain();
        if (!fitted) chart.timeScale().fitContent();
        fitted = true;
    };

    const explain = () => {
        const rows = new Map();
        for (const line of day.lines) rows.set(`${line.name} ${line.price}`, line);
        legend.replaceChildren(...[...rows.values()].map((line) => {
            const item = document.createElement("span");
            item.style.setProperty("--tb-line-colour", colour(line.kind));
            item.textContent = `${line.name} ${line.price.toLocaleString("en-US", {
                minimumFractionDigits: day.decimals, maximumFractionDigits: day.decimals,
            })}`;
            return item;
        }));
    };

    const load = async () => {
        try {
            const answer = await fetch(box.dataset.url, { headers: { Accept: "application/json" } });
            if (!answer.ok || answer.redirected) throw new Error(`the server answered ${answer.status}`);
            day = await answer.json();
            draw();
        } catch (error) {
            message.hidden = false;
            message.textContent = `The chart's data could not be read (${error.message}); trying again.`;
        }
        if (!day || day.running) setTimeout(load, document.hidden ? 10 * REFRESH : REFRESH);
    };

    const choose = (chosen) => {
        minutes = chosen;
        localStorage.setItem("chart-minutes", String(minutes));
        document.querySelectorAll("#timeframes button").forEach((button) => {
            button.classList.toggle("tb-button-on", Number(button.dataset.minutes) === minutes);
        });
        fitted = false;
        if (day) draw();
    };

    document.querySelectorAll("#timeframes button").forEach((button) => {
        button.addEventListener("click", () => choose(Number(button.dataset.minutes)));
    });
    new MutationObserver(() => {
        dress();
        if (day) draw();
    }).observe(document.documentElement, { attributes: true, attributeFilter: ["class"] });
    dress();
    choose(minutes);
    load();
})();
