import EttinJSON
import Foundation
import Testing

@testable import EttinReports

@Suite("Line chart")
struct LineChartTests {
    private func series(_ points: [(Int, Double)]) -> MetricSeries {
        MetricSeries(points.map { .init(batch: $0.0 / 10, token: $0.0, value: $0.1) })
    }

    private func chart(_ curves: [LineChart.Curve], isLogarithmic: Bool = false) -> LineChart {
        LineChart(id: "c", title: "Loss", caption: "", curves: curves, format: .plain, isLogarithmic: isLogarithmic)
    }

    @Test("points lie where their values say, between margins for the labels")
    func coordinates() {
        let curve = LineChart.Curve(label: "a", color: 0, line: series([(0, 0), (50, 10), (100, 5)]))
        let svg = chart([curve]).svg(.half, style: "s").source
        #expect(svg.contains(#"viewBox="0 0 464 270""#))
        #expect(svg.contains(#"<path class="line" d="M32 232L220.5 12L409 122"/>"#))
        #expect(svg.contains(#"aria-label="Loss over tokens: a from 0 to 5.000""#))
        #expect(svg.contains(#"data-plot="32 12 409 232" data-domain="0.0 100.0 0.0 10.0""#))
    }

    @Test("a curve is interrupted at NaN")
    func gaps() {
        let curve = LineChart.Curve(
            label: "a",
            color: 0,
            line: series([(0, 0), (25, 10), (50, .nan), (75, 5), (100, 0)])
        )
        let svg = chart([curve]).svg(.half, style: "s").source
        #expect(svg.contains(#"d="M32 232L128 12M320 122L416 232""#))
    }

    @Test("curves are told apart by colour and by the form of their marks, and named at their ends")
    func curves() {
        let curves = (0..<3).map { index -> LineChart.Curve in
            let line = series([(0, 1), (100, 2 + Double(index) / 100)])
            return LineChart.Curve(label: "run \(index)", color: index, line: line, marks: line)
        }
        let svg = chart(curves).svg(.wide, style: "s").source
        for part in ["series-0", "series-1", "series-2", "<circle class=\"mark\"", "<rect class=\"mark\""] {
            #expect(svg.contains(part))
        }
        // Names of curves that end together are moved apart.
        let heights = svg.split(separator: "<text class=\"name\"").dropFirst().compactMap { part -> Double? in
            part.split(separator: "y=\"").dropFirst().first.flatMap { Double($0.prefix { $0 != "\"" }) }
        }.sorted()
        #expect(heights.count == 3)
        #expect(zip(heights, heights.dropFirst()).allSatisfy { $1 - $0 >= 36.9 })
        #expect(heights[0] > 0 && heights[2] < 400)
    }

    @Test("many names share the height, without values", arguments: [8, 14])
    func manyCurves(count: Int) {
        let curves = (0..<count).map {
            LineChart.Curve(label: "run \($0)", color: $0, line: series([(0, 1), (100, 1)]))
        }
        let svg = chart(curves).svg(.half, style: "s").source
        let heights = svg.split(separator: "<text class=\"name\"").dropFirst().compactMap { part -> Double? in
            part.split(separator: "y=\"").dropFirst().first.flatMap { Double($0.prefix { $0 != "\"" }) }
        }.sorted()
        #expect(heights.count == count)
        #expect(zip(heights, heights.dropFirst()).allSatisfy { $1 - $0 > 220 / Double(count) - 0.2 })
        #expect(heights[0] > 0 && heights[count - 1] < 232)
        #expect(!svg.contains(">1.000</text>"))
    }

    @Test("a logarithmic axis holds what has no place on it at its edge")
    func logarithmic() {
        let curve = LineChart.Curve(label: "a", color: 0, line: series([(0, 10), (50, 1000), (100, 0)]))
        let svg = chart([curve], isLogarithmic: true).svg(.half, style: "s").source
        #expect(svg.contains(#"d="M46 232L231 12L416 236""#))
        #expect(svg.contains(#"data-log="1""#))
    }

    @Test("the numbers behind a chart are in its table and in what the script reads")
    func numbers() throws {
        let line = series((0..<100).map { ($0 * 10, Double($0)) })
        let curve = LineChart.Curve(label: "<a>", color: 0, line: line, marks: series([(550, 4.25)]))
        let figure = chart([curve]).figure(isWide: true).source
        #expect(figure.contains(#"<th scope="col">&lt;a&gt;, held-out</th>"#))
        #expect(figure.contains(#"<tr><th scope="row">55</th><td>550</td><td>55.00</td><td>4.250</td></tr>"#))
        #expect(figure.contains(#"<tr><th scope="row">99</th><td>990</td><td>99.00</td><td></td></tr>"#))
        let start = try #require(figure.range(of: #"<script type="application/json">"#))
        let end = try #require(figure.range(of: "</script>"))
        let data = try JSONValue(parsing: String(figure[start.upperBound..<end.lowerBound]))
        #expect(data[0]?["label"] == "<a>")
        #expect(data[0]?["x"]?.arrayValue?.count == 100)
        #expect(!figure[start.upperBound..<end.lowerBound].contains("<"))
    }
}
