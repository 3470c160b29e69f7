import EttinFiles

/// Writes rankings as trec_eval reads them: a line `query Q0 document rank score tag` for each document.
package enum TRECRun {
    /// Writes a file, which appears complete or not at all.
    ///
    /// - Parameters:
    ///   - rankings: For each query the documents, best first.
    ///   - data: The queries and documents.
    ///   - tag: The name of the run; blanks become underscores.
    ///   - path: The file to create or replace.
    /// - Throws: ``EvaluationError`` for ids that are empty or have blanks, which the format cannot tell apart, and when
    ///   the file cannot be written.
    package static func write(
        _ rankings: [[RankedDocument]],
        of data: RetrievalData,
        tag: String,
        to path: String
    ) throws {
        try check(data, path)
        let tag = String(tag.unicodeScalars.map { $0.properties.isWhitespace ? "_" : Character($0) })
        try EvaluationError.translating {
            let file = try AtomicFile(path: path)
            for (query, documents) in rankings.enumerated() {
                var lines = ""
                for (rank, hit) in documents.enumerated() {
                    lines +=
                        "\(data.queryIDs[query]) Q0 \(data.documentIDs[hit.document]) \(rank + 1) \(hit.score) \(tag)\n"
                }
                try file.write(Array(lines.utf8))
            }
            try file.commit()
        }
    }

    /// Refuses ids that lines cannot hold.
    ///
    /// - Parameters:
    ///   - data: The queries and documents.
    ///   - path: The file, for messages.
    /// - Throws: ``EvaluationError`` for ids that are empty or have blanks.
    package static func check(_ data: RetrievalData, _ path: String) throws {
        for (kind, ids) in [("query", data.queryIDs), ("document", data.documentIDs)] {
            let unfit = ids.first { $0.isEmpty || $0.unicodeScalars.contains { $0.properties.isWhitespace } }
            guard let unfit else { continue }
            throw EvaluationError(
                .unsupported,
                file: path,
                item: "the \(kind) id \(quoted(unfit))",
                found: "does not fit in a line of a TREC run",
                expected: "ids without blanks"
            )
        }
    }
}
