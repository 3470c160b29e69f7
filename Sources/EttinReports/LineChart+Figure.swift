import EttinJSON

extension LineChart {
    /// The chart with its heading, the numbers behind it, and what the page's script needs.
    ///
    /// A narrow screen has a drawing of its own, as a wide one made small cannot be read.
    ///
    /// - Parameter isWide: Whether it takes the page's whole width.
    /// - Returns: An element `figure`.
    package func figure(isWide: Bool) -> HTML {
        """
        <figure class="chart" id="\(id)">
        <figcaption><h3>\(title)</h3><p>\(caption)</p></figcaption>
        \(svg(isWide ? .wide : .half, style: "on-wide"))\(svg(.narrow, style: "on-narrow"))\
        <details><summary>Numbers</summary><div class="scroll">\(table)</div></details>
        <script type="application/json">\(Self.embedded(pointerData.text()))</script>
        </figure>

        """
    }

    /// JSON that no parser of HTML takes for the end of its element.
    private static func embedded(_ json: String) -> HTML {
        HTML(stringLiteral: json.split(separator: "<", omittingEmptySubsequences: false).joined(separator: "\\u003c"))
    }

    /// A few points of each curve; all of them are in the run's metrics.jsonl.
    private var table: HTML {
        let columns = curves.flatMap { curve -> [(name: String, series: MetricSeries)] in
            let line = curve.unsmoothed == nil ? curve.label : "\(curve.label), smoothed"
            return [
                (line, curve.line), ("\(curve.label), each batch", curve.unsmoothed ?? MetricSeries([])),
                ("\(curve.label), held-out", curve.marks ?? MetricSeries([])),
            ].filter { !$0.1.points.isEmpty }
        }
        // Rows for the points that stand for a column, so that rare measurements keep theirs.
        let batches = Set(columns.flatMap { $0.series.thinned(to: 16).points.map(\.batch) }).sorted()
        let values = columns.map { column in
            Dictionary(column.series.points.map { ($0.batch, $0) }, uniquingKeysWith: { $1 })
        }
        let head = columns.map { column -> HTML in #"<th scope="col">\#(column.name)</th>"# }
        let rows = batches.map { batch -> HTML in
            let points = values.map { $0[batch] }
            let token = points.compactMap { $0?.token }.first ?? 0
            let cells = points.map { point -> HTML in "<td>\(point.map { spelled($0.value) } ?? "")</td>" }
            return """
                <tr><th scope="row">\(NumberText.grouped(batch))</th><td>\(NumberText.compact(Double(token)))</td>\
                \(cells)</tr>

                """
        }
        return """
            <table><caption class="hidden">\(title)</caption><thead><tr><th scope="col">batch</th>\
            <th scope="col">\(unit)</th>\(head)</tr></thead><tbody>
            \(rows)</tbody></table>
            """
    }
}
