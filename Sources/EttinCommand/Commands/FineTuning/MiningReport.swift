import EttinEvaluation
import EttinJSON
import EttinReports

/// What a run of mining has come to, for people and for programs.
struct MiningReport {
    private let mined: MinedNegatives
    private let statistics: MiningStatistics

    init(_ mined: MinedNegatives) {
        self.mined = mined
        statistics = mined.statistics
    }

    /// The table of scores, and what was discarded or not found.
    var lines: [String] {
        let columns = [statistics.positive, statistics.negative, statistics.difference]
        func row(_ name: String, _ fields: [String]) -> String {
            name.padded(to: 6) + fields.map { " " + String(repeating: " ", count: max(0, 14 - $0.count)) + $0 }.joined()
        }
        func row(_ name: String, _ value: (MiningStatistics.Distribution) -> Double) -> String {
            row(name, columns.map { NumberText.fixed(value($0), places: 4) })
        }
        var lines = [
            row("Metric", ["Positive", "Negative", "Difference"]),
            row("Count", columns.prefix(2).map { NumberText.grouped($0.count) }),
            row("Mean", \.mean), row("Median", \.median), row("Std", \.standardDeviation), row("Min", \.minimum),
            row("25%", { $0.quartiles[0] }), row("50%", { $0.quartiles[1] }), row("75%", { $0.quartiles[2] }),
            row("Max", \.maximum),
        ]
        lines += statistics.discards.map {
            "skipped \(NumberText.grouped($0.count)) potential negatives (\(percent($0.share))) due to the \($0.name) "
                + "of \($0.value)"
        }
        let missing = statistics.possibleRowCount - statistics.rowCount
        if missing > 0 {
            let share = Double(missing) / Double(statistics.possibleRowCount)
            let names = considered
            let list = names.dropLast().joined(separator: ", ") + (names.count > 1 ? " and " : "") + (names.last ?? "")
            lines.append(
                "not enough negatives for \(NumberText.grouped(missing)) samples (\(percent(share))); "
                    + "adjust \(list) to find more"
            )
        }
        return lines
    }

    /// The options that more negatives could come from.
    private var considered: [String] {
        let options = mined.options
        return ["--range-max"] + (options.rangeMin > 0 ? ["--range-min"] : [])
            + (options.absoluteMargin != nil ? ["--absolute-margin"] : [])
            + (options.relativeMargin != nil ? ["--relative-margin"] : [])
            + (options.maxScore != nil ? ["--max-score"] : []) + (options.minScore != nil ? ["--min-score"] : [])
    }

    private func percent(_ share: Double) -> String { NumberText.fixed(share * 100, places: 2) + "%" }

    /// The summary for programs.
    func json(output: String) -> JSONValue {
        [
            "output": .string(output), "rows": JSONValue(statistics.rowCount),
            "columns": .array(mined.columnNames.map(JSONValue.string)),
            "anchors": JSONValue(mined.pairs.anchors.count), "corpus": JSONValue(mined.pairs.corpus.count),
            "range_max": JSONValue(mined.rangeMax), "truncated": JSONValue(mined.truncatedCount),
            "missing": JSONValue(max(0, statistics.possibleRowCount - statistics.rowCount)),
            "positive": json(statistics.positive), "negative": json(statistics.negative),
            "difference": json(statistics.difference),
            "skipped": .object(JSONObject(statistics.discards.map { ($0.name, JSONValue($0.count)) })),
        ]
    }

    private func json(_ distribution: MiningStatistics.Distribution) -> JSONValue {
        [
            "count": JSONValue(distribution.count), "mean": JSONValue(distribution.mean),
            "median": JSONValue(distribution.median), "std": JSONValue(distribution.standardDeviation),
            "min": JSONValue(distribution.minimum), "25%": JSONValue(distribution.quartiles[0]),
            "50%": JSONValue(distribution.quartiles[1]), "75%": JSONValue(distribution.quartiles[2]),
            "max": JSONValue(distribution.maximum),
        ]
    }
}
