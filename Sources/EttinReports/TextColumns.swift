/// Rows of texts under each other, in columns.
package enum TextColumns {
    /// Aligns the cells of rows: numbers to the right, everything else to the left.
    ///
    /// - Parameter rows: Rows of the same number of cells, the headings first.
    /// - Returns: A line for each row, without space at its end.
    package static func lines(_ rows: [[String]]) -> [String] {
        guard let first = rows.first else { return [] }
        let widths = first.indices.map { column in rows.map { $0[column].count }.max() ?? 0 }
        let isNumeric = first.indices.map { column in
            rows.dropFirst().allSatisfy { row in
                row[column].isEmpty || row[column].first.map { $0.isNumber || "-–+".contains($0) } ?? false
            }
        }
        return rows.map { row in
            let cells = row.indices.map { column -> String in
                let space = String(repeating: " ", count: widths[column] - row[column].count)
                return isNumeric[column] ? space + row[column] : row[column] + space
            }
            let line = cells.joined(separator: "  ")
            return String(line.reversed().drop { $0 == " " }.reversed())
        }
    }
}
