import EttinJSON

/// A chart of curves over tokens, or steps, with each curve named at its end.
package struct LineChart: Sendable {
    /// A curve, or several equal ones drawn as one.
    package struct Curve: Sendable {
        package let label: String
        /// The number of its colour; nil for that of the text, for what all runs have in common.
        package let color: Int?
        package let line: MetricSeries
        /// What the line was smoothed from, drawn faintly.
        package var unsmoothed: MetricSeries?
        /// Single measurements, drawn as marks.
        package var marks: MetricSeries?

        package init(
            label: String,
            color: Int?,
            line: MetricSeries,
            unsmoothed: MetricSeries? = nil,
            marks: MetricSeries? = nil
        ) {
            self.label = label
            self.color = color
            self.line = line
            self.unsmoothed = unsmoothed
            self.marks = marks
        }

        /// Every value that is drawn.
        fileprivate var values: [Double] {
            [line, unsmoothed, marks].compactMap { $0 }.flatMap { $0.points.map(\.value) }
        }

        /// The point that the curve's name stands beside.
        fileprivate var endPoint: MetricSeries.Point? {
            line.points.last { $0.value.isFinite } ?? marks?.points.last { $0.value.isFinite }
        }

        fileprivate var end: Double? { endPoint?.value }
    }

    /// How large a drawing is, in units that a screen of its width shows as pixels.
    struct Size: Hashable, Sendable {
        let width: Double
        let height: Double

        static let wide = Size(width: 960, height: 400)
        static let half = Size(width: 464, height: 270)
        static let narrow = Size(width: 360, height: 270)
    }

    /// What the page knows the chart by; a word.
    package let id: String
    package let title: String
    package let caption: HTML
    package let curves: [Curve]
    package let format: AxisScale.Format
    /// What the places of points count.
    package let unit: String
    private let horizontal: AxisScale
    private let vertical: AxisScale

    package init(
        id: String,
        title: String,
        caption: HTML,
        curves: [Curve],
        format: AxisScale.Format,
        unit: String = "tokens",
        isLogarithmic: Bool = false,
        includesZero: Bool = false
    ) {
        self.id = id
        self.title = title
        self.caption = caption
        self.curves = curves
        self.format = format
        self.unit = unit
        let tokens = curves.flatMap { curve in
            [curve.line, curve.marks].compactMap { $0 }.flatMap { $0.points.map { Double($0.token) } }
        }
        horizontal = AxisScale(linear: tokens, tickCount: 5, includesZero: true, isExact: true)
        let values = curves.flatMap(\.values)
        vertical =
            isLogarithmic
            ? AxisScale(logarithmic: values) : AxisScale(linear: values, tickCount: 5, includesZero: includesZero)
    }

    // MARK: - Drawing

    /// Where the curves are, inside the margins for labels.
    private struct Plot {
        let left: Double
        let top: Double
        let right: Double
        let bottom: Double
    }

    /// The drawing.
    ///
    /// - Parameters:
    ///   - size: Its size.
    ///   - style: A class for the style sheet.
    /// - Returns: An element `svg`.
    func svg(_ size: Size, style: String) -> HTML {
        // Bold and plain digits of these widths, which no font of a reader's exceeds by much.
        let label =
            curves.flatMap { curve in
                [Double(min(curve.label.count, Self.labelLimit)) * 7.2, Double(curve.end.map(spelled)?.count ?? 0) * 7]
            }.max() ?? 0
        let tick = vertical.ticks.map { vertical.label($0, format).count }.max() ?? 0
        let plot = Plot(
            left: Double(tick) * 7 + 18,
            top: 12,
            right: size.width - max(48, label + 20),
            bottom: size.height - 38
        )
        let area: HTML = "\(plot.left) \(plot.top) \(plot.right) \(plot.bottom)"
        let domain = [horizontal.lower, horizontal.upper, vertical.lower, vertical.upper].map { "\($0)" }
        return """
            <svg class="\(style)" viewBox="0 0 \(size.width) \(size.height)" role="img" aria-label="\(summary)" \
            data-plot="\(area)" data-domain="\(domain.joined(separator: " "))" \
            data-log="\(vertical.isLogarithmic ? 1 : 0)">
            <g aria-hidden="true">\(axes(plot, size))\(curves.map { drawing($0, plot) })\(labels(plot))</g>
            </svg>

            """
    }

    /// What a reader who sees no drawing is told.
    private var summary: String {
        let parts = curves.compactMap { curve -> String? in
            let line = curve.line.points.isEmpty ? curve.marks : curve.line
            guard let first = line?.points.first, let last = line?.points.last else { return nil }
            return "\(curve.label) from \(spelled(first.value)) to \(spelled(last.value))"
        }
        return "\(title) over \(unit): " + parts.joined(separator: "; ")
    }

    private func axes(_ plot: Plot, _ size: Size) -> HTML {
        let rows = vertical.ticks.map { tick -> HTML in
            let y = vertical.position(tick, from: plot.bottom, to: plot.top)
            return """
                <line class="grid" x1="\(plot.left)" y1="\(y)" x2="\(plot.right)" y2="\(y)"/>\
                <text class="tick end" x="\(plot.left - 8)" y="\(y + 4)">\(vertical.label(tick, format))</text>
                """
        }
        // Ticks that are too close for their texts, as in a narrow drawing, are named by turns.
        let columns = horizontal.ticks
        let distance = (plot.right - plot.left) / Double(max(1, columns.count - 1))
        let turn = distance < 44 ? 2 : 1
        let marks = columns.enumerated().map { index, tick -> HTML in
            let x = horizontal.position(tick, from: plot.left, to: plot.right)
            let text: HTML =
                index % turn == 0
                ? """
                <text class="tick middle" x="\(x)" y="\(plot.bottom + 19)">\(horizontal.label(tick, .compact))</text>
                """ : ""
            return """
                <line class="axis" x1="\(x)" y1="\(plot.bottom)" x2="\(x)" y2="\(plot.bottom + 4)"/>\(text)
                """
        }
        return """
            \(rows)<line class="axis" x1="\(plot.left)" y1="\(plot.bottom)" x2="\(plot.right)" y2="\(plot.bottom)"/>\
            \(marks)<text class="tick end" x="\(plot.right)" y="\(plot.bottom + 34)">\(unit)</text>
            """
    }

    private func drawing(_ curve: Curve, _ plot: Plot) -> HTML {
        let style = Self.style(curve.color)
        let faint = curve.unsmoothed.map { path($0.envelope(stretches: 400), plot) }
        let line = path(curve.line.thinned(to: 500), plot)
        let marks = (curve.marks?.points ?? []).filter(\.value.isFinite).map { mark(at: place($0, plot), curve.color) }
        return """
            <g class="\(style)">\(faint.map { [#"<path class="faint" d="\#($0)"/>"#] } ?? [])\
            <path class="line" d="\(line)"/>\(marks)</g>
            """
    }

    private func place(_ point: MetricSeries.Point, _ plot: Plot) -> (x: Double, y: Double) {
        let x = horizontal.position(Double(point.token), from: plot.left, to: plot.right)
        let y = vertical.position(point.value, from: plot.bottom, to: plot.top)
        // What is not above zero has no place on a logarithmic axis.
        return (x, min(max(y, plot.top - 4), plot.bottom + 4))
    }

    /// A path through the points, interrupted at NaN.
    private func path(_ series: MetricSeries, _ plot: Plot) -> HTML {
        var parts: [HTML] = []
        var isDown = false
        for point in series.points {
            guard point.value.isFinite else {
                isDown = false
                continue
            }
            let (x, y) = place(point, plot)
            parts.append("\(isDown ? "L" : "M")\(x) \(y)")
            isDown = true
        }
        return "\(parts)"
    }

    /// Curves differ in the form of their marks too, for readers who cannot tell the colours apart.
    private func mark(at place: (x: Double, y: Double), _ color: Int?) -> HTML {
        let (x, y) = place
        return switch (color ?? 0) % 3 {
        case 0: #"<circle class="mark" cx="\#(x)" cy="\#(y)" r="4"/>"#
        case 1: #"<rect class="mark" x="\#(x - 3.5)" y="\#(y - 3.5)" width="7" height="7"/>"#
        default: #"<path class="mark" d="M\#(x) \#(y - 5)L\#(x + 4.5) \#(y + 3.5)L\#(x - 4.5) \#(y + 3.5)Z"/>"#
        }
    }

    private static let labelLimit = 18

    /// The curves' names with their last values, each beside the end of its curve as far as there is room.
    private func labels(_ plot: Plot) -> [HTML] {
        // Where many names must share the height, values are left to the table.
        let height = min(37, (plot.bottom - plot.top) / Double(max(1, curves.count)))
        var placed = curves.compactMap { curve -> (curve: Curve, value: Double, x: Double, y: Double)? in
            guard let end = curve.endPoint else { return nil }
            return (curve, end.value, plot.right + 10, place(end, plot).y)
        }.sorted { $0.y < $1.y }
        for index in placed.indices {
            let above = index > 0 ? placed[index - 1].y + height : plot.top + 8
            placed[index].y = max(placed[index].y, above)
        }
        var below = plot.bottom - 8
        for index in placed.indices.reversed() {
            placed[index].y = min(placed[index].y, below)
            below = placed[index].y - height
        }
        return placed.map { label in
            let name =
                label.curve.label.count > Self.labelLimit
                ? label.curve.label.prefix(Self.labelLimit - 1) + "…" : label.curve.label[...]
            let value: HTML =
                height < 30
                ? "" : #"<text class="tick" x="\#(label.x)" y="\#(label.y + 15)">\#(spelled(label.value))</text>"#
            return """
                <g class="\(Self.style(label.curve.color))"><text class="name" x="\(label.x)" y="\(label.y)">\
                \(String(name))</text>\(value)</g>
                """
        }
    }

    package static func style(_ color: Int?) -> String { color.map { "series-\($0 % 6)" } ?? "series-all" }

    // MARK: - Numbers

    /// A value as texts beside the drawing spell it.
    func spelled(_ value: Double) -> String {
        switch format {
        case .percent: NumberText.fixed(value * 100, places: 1) + "%"
        case .compact: NumberText.compact(value)
        case .scientific: NumberText.significant(value, digits: 3)
        case .plain: NumberText.significant(value, digits: 4)
        }
    }

    /// What the page's script reads: for each curve its places and texts.
    var pointerData: JSONValue {
        .array(
            curves.map { curve in
                let series = curve.line.points.isEmpty ? curve.marks ?? curve.line : curve.line
                let points = series.thinned(to: 500).points.filter(\.value.isFinite)
                return [
                    "label": .string(curve.label),
                    "unit": .string(unit),
                    "style": .string(Self.style(curve.color)),
                    "x": .array(points.map { JSONValue($0.token) }),
                    "y": .array(points.map { JSONValue($0.value) }),
                    "batch": .array(points.map { JSONValue($0.batch) }),
                    "text": .array(points.map { .string(spelled($0.value)) }),
                ]
            }
        )
    }
}
