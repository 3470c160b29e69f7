extension HTMLPage {
    /// Two hues that readers with any colour vision tell apart, blue and vermilion, then four more for further runs.
    static let styleSheet: HTML = """
        :root {
          --ink: #1a1d21; --muted: #5c6670; --axis: #aab2ba; --grid: #e9ecef; --rule: #dde1e5;
          --page: #ffffff; --panel: #f6f7f9; --good: #1c7a4a; --bad: #b3261e;
          --c0: #0b66b0; --c1: #c04a05; --c2: #00795a; --c3: #a3497f; --c4: #8a6d00; --c5: #3f7f93;
        }
        @media (prefers-color-scheme: dark) {
          :root {
            --ink: #e7eaed; --muted: #9aa4ae; --axis: #5d6770; --grid: #262b31; --rule: #333a41;
            --page: #14171a; --panel: #1c2024; --good: #5cc28d; --bad: #f28b82;
            --c0: #63b3f5; --c1: #ff9d5c; --c2: #3ccfa3; --c3: #e29ac4; --c4: #d9b93b; --c5: #8cc6d8;
          }
        }
        * { box-sizing: border-box; }
        body {
          margin: 0 auto; padding: 2.5rem 1.25rem 4rem; max-width: 62rem; background: var(--page); color: var(--ink);
          font: 1rem/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif;
        }
        h1 { margin: 0; font-size: 2.1rem; line-height: 1.2; letter-spacing: -0.015em; overflow-wrap: anywhere; }
        h2 { margin: 3rem 0 1rem; padding-top: .9rem; border-top: 1px solid var(--rule); font-size: 1.3rem; }
        h3 { margin: 0; font-size: 1.02rem; }
        section > h3 { margin: 1.75rem 0 .5rem; }
        h4 { margin: 0 0 .4rem; font-size: .9rem; font-weight: 600; }
        p { margin: 0 0 .5rem; }
        a { color: var(--c0); text-underline-offset: .15em; }
        code { font: .86em/1.5 ui-monospace, "SF Mono", Menlo, Consolas, monospace; overflow-wrap: anywhere; }
        .kind, .source { margin: 0 0 .2rem; color: var(--muted); font-size: .85rem; }
        .lead { margin: .4rem 0 0; color: var(--muted); font-size: 1.1rem; }
        .note { max-width: 46rem; color: var(--muted); font-size: .9rem; }
        .verdict { margin: 1.6rem 0 0; padding: .1rem 0 .1rem 1rem; border-left: 4px solid var(--good); }
        .verdict strong { color: var(--good); }
        .verdict.broken { border-color: var(--bad); }
        .verdict.broken strong { color: var(--bad); }
        .verdict p { margin: 0; }
        .verdict p + p { color: var(--muted); font-size: .85rem; }
        .warnings { margin: 1.4rem 0 0; padding: .7rem 1rem .7rem 2rem; background: var(--panel); font-size: .9rem; }
        .hidden {
          position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap;
        }
        .swatch {
          display: inline-block; width: .7em; height: .7em; margin-right: .45em; border-radius: 50%;
          background: var(--s);
        }
        .swatch.series-1, .swatch.series-4 { border-radius: 0; }
        .series-0 { --s: var(--c0); } .series-1 { --s: var(--c1); } .series-2 { --s: var(--c2); }
        .series-3 { --s: var(--c3); } .series-4 { --s: var(--c4); } .series-5 { --s: var(--c5); }
        .series-all { --s: var(--ink); }

        .scroll { overflow-x: auto; }
        table { border-collapse: collapse; font-size: .9rem; font-variant-numeric: tabular-nums; }
        th, td { padding: .32rem .9rem .32rem 0; border-bottom: 1px solid var(--rule); text-align: right; }
        th:last-child, td:last-child { padding-right: 0; }
        th { font-weight: 500; }
        thead th { color: var(--ink); font-weight: 600; vertical-align: bottom; white-space: nowrap; }
        tbody th, th:first-child { text-align: left; color: var(--muted); white-space: nowrap; }
        .overview { display: flex; flex-wrap: wrap; gap: 1.5rem 4rem; }
        .overview > div { max-width: 100%; }
        .overview > div + div { flex: 1 1 19rem; }
        .common {
          display: grid; grid-template-columns: auto 1fr; gap: 0 1.2rem; margin: .45rem 0 0; font-size: .9rem;
        }
        .common dt { color: var(--muted); padding: .3rem 0; }
        .common dd { margin: 0; padding: .3rem 0; overflow-wrap: anywhere; }
        table.facts th, table.facts td { text-align: left; }
        thead th[scope=colgroup] { text-align: left; padding-left: 1.4rem; }
        td.first, th.first { padding-left: 1.4rem; }

        .charts {
          display: grid; gap: 2.2rem 2rem; grid-template-columns: repeat(auto-fit, minmax(min(100%, 25rem), 1fr));
        }
        .charts.wide { margin-bottom: 2.4rem; grid-template-columns: 1fr; }
        figure { position: relative; display: flex; flex-direction: column; margin: 0; min-width: 0; }
        figcaption { flex: 1; }
        figcaption p { margin: .1rem 0 .5rem; max-width: 46rem; color: var(--muted); font-size: .85rem; }
        svg { display: block; width: 100%; height: auto; overflow: visible; }
        svg text { font-size: 12.5px; fill: var(--muted); font-variant-numeric: tabular-nums; }
        .end { text-anchor: end; } .middle { text-anchor: middle; }
        .grid { stroke: var(--grid); } .axis { stroke: var(--axis); }
        .line { fill: none; stroke: var(--s); stroke-width: 2; stroke-linejoin: round; stroke-linecap: round; }
        .faint { fill: none; stroke: var(--s); stroke-width: 1; opacity: .28; stroke-linejoin: round; }
        .mark { fill: var(--page); stroke: var(--s); stroke-width: 2; }
        svg text.name { fill: var(--s); font-weight: 600; }
        .on-narrow { display: none; }
        .pointer { stroke: var(--axis); stroke-dasharray: 2 3; }
        .dot { fill: var(--s); stroke: var(--page); stroke-width: 1.5; }
        .tip {
          position: absolute; z-index: 1; padding: .35rem .6rem; border: 1px solid var(--rule); border-radius: 4px;
          background: var(--page); font-size: .82rem; line-height: 1.45; white-space: nowrap; pointer-events: none;
          font-variant-numeric: tabular-nums;
        }
        .tip b { color: var(--s); font-weight: 600; }
        details { margin-top: .3rem; font-size: .85rem; }
        summary { color: var(--muted); cursor: pointer; width: fit-content; }
        details table { margin-top: .4rem; font-size: .82rem; }

        .sample { margin: 0 0 2rem; padding: 1.1rem 1.25rem 1.25rem; border-radius: 6px; background: var(--panel); }
        blockquote { margin: 0 0 1rem; font: 1.08rem/1.55 Georgia, "Times New Roman", serif; white-space: pre-line; }
        mark { padding: 0 .15em; background: none; color: inherit; border-bottom: 2px solid var(--ink); }
        mark.empty { color: var(--muted); }
        .answers {
          display: grid; gap: 1rem 2rem; grid-template-columns: repeat(auto-fit, minmax(min(100%, 17rem), 1fr));
        }
        .continuation {
          font: 1rem/1.55 Georgia, "Times New Roman", serif; white-space: pre-line; overflow-wrap: anywhere;
        }
        .continuation span { color: var(--muted); }
        table.fills { width: 100%; }
        .fills th, .fills td { padding: .18rem .7rem .18rem 0; border: 0; }
        .fills tbody th { color: var(--ink); }
        .fills .right th { font-weight: 700; text-decoration: underline; text-underline-offset: .2em; }
        .fills .bar { width: 55%; }
        .fills .bar span { display: block; height: .55rem; min-width: 1px; background: var(--c0); opacity: .75; }
        .fills caption.shown { text-align: left; color: var(--muted); }
        .files dt { font-weight: 600; }
        .files dd { margin: 0 0 1rem; }
        .files a { margin-right: .5rem; white-space: nowrap; }
        @media (max-width: 40rem) {
          body { padding-top: 1.5rem; }
          h1 { font-size: 1.7rem; }
          .on-wide { display: none; } .on-narrow { display: block; }
          th, td { padding-right: .7rem; }
        }
        @media print { details, .tip { display: none; } .sample { break-inside: avoid; } }

        """

    /// Shows values where the pointer is; everything it shows is in the tables too.
    static let script: HTML = """
        "use strict";
        for (const figure of document.querySelectorAll("figure.chart")) {
          const curves = JSON.parse(figure.querySelector("script").textContent);
          const tip = document.createElement("div");
          tip.className = "tip";
          tip.hidden = true;
          figure.append(tip);
          for (const svg of figure.querySelectorAll("svg")) {
            const [left, top, right, bottom] = svg.dataset.plot.split(" ").map(Number);
            const [x0, x1, y0, y1] = svg.dataset.domain.split(" ").map(Number);
            const scale = svg.dataset.log === "1" ? Math.log : (value) => value;
            const xOf = (x) => left + (x - x0) / (x1 - x0) * (right - left);
            const yOf = (y) => bottom + (scale(y) - scale(y0)) / (scale(y1) - scale(y0)) * (top - bottom);
            const layer = document.createElementNS(svg.namespaceURI, "g");
            svg.append(layer);
            const draw = (name, attributes) => {
              const element = document.createElementNS(svg.namespaceURI, name);
              for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
              layer.append(element);
            };
            const hide = () => { layer.replaceChildren(); tip.hidden = true; };
            svg.addEventListener("pointerleave", hide);
            svg.addEventListener("pointermove", (event) => {
              const box = svg.getBoundingClientRect();
              const ratio = svg.viewBox.baseVal.width / box.width;
              const at = x0 + ((event.clientX - box.left) * ratio - left) / (right - left) * (x1 - x0);
              hide();
              if (at < x0 - (x1 - x0) * 0.02 || at > x1 + (x1 - x0) * 0.02) return;
              const nearest = curves.filter((curve) => curve.x.length > 0).map((curve) => {
                let best = 0;
                curve.x.forEach((x, index) => {
                  if (Math.abs(x - at) < Math.abs(curve.x[best] - at)) best = index;
                });
                return [curve, best];
              });
              if (nearest.length === 0) return;
              const [first, index] = nearest[0];
              const x = xOf(first.x[index]);
              draw("line", { class: "pointer", x1: x, x2: x, y1: top, y2: bottom });
              const lines = [document.createElement("div")];
              lines[0].textContent =
                `batch ${first.batch[index].toLocaleString()}, ${first.x[index].toLocaleString()} ${first.unit}`;
              for (const [curve, best] of nearest) {
                const place = { class: `dot ${curve.style}`, cx: xOf(curve.x[best]), cy: yOf(curve.y[best]), r: 4 };
                draw("circle", place);
                const line = document.createElement("div");
                const name = document.createElement("b");
                name.className = curve.style;
                name.textContent = curve.label;
                line.append(name, ` ${curve.text[best]}`);
                lines.push(line);
              }
              tip.replaceChildren(...lines);
              tip.hidden = false;
              const frame = figure.getBoundingClientRect();
              const beside = event.clientX - frame.left + 14;
              const fits = beside + tip.offsetWidth < frame.width;
              tip.style.left = `${Math.max(0, fits ? beside : beside - tip.offsetWidth - 28)}px`;
              tip.style.top = `${event.clientY - frame.top + 14}px`;
            });
          }
        }

        """
}
