/// A curve drawn with characters.
package enum TextChart {
    /// Draws values from 0 up.
    ///
    /// - Parameters:
    ///   - values: One for each column.
    ///   - rows: The number of rows above the axis.
    ///   - labels: What stands before the axis at the highest value and at 0.
    /// - Returns: Lines of text, the highest value first, the axis last.
    package static func lines(_ values: [Double], rows: Int, labels: (top: String, bottom: String)) -> [String] {
        let width = max(labels.top.count, labels.bottom.count)
        let highest = values.filter(\.isFinite).max() ?? 0
        func padded(_ text: String) -> String { String(repeating: " ", count: width - text.count) + text }
        // A value fills the rows below it; one that is not nothing fills the lowest at least.
        let heights = values.map { value in
            highest > 0 && value > 0 ? max(1, Int((min(1, value / highest) * Double(rows)).rounded())) : 0
        }
        var lines: [String] = []
        for row in stride(from: rows, to: 0, by: -1) {
            let marks = heights.map { $0 == row ? "*" : ($0 > row ? "." : " ") }.joined()
            var line = padded(row == rows ? labels.top : "") + " |" + marks
            while line.last == " " { line.removeLast() }
            lines.append(line)
        }
        lines.append(padded(labels.bottom) + " +" + String(repeating: "-", count: values.count))
        return lines
    }
}
