import EttinFiles
package import EttinInference
package import EttinModel

/// A document that a search found.
package struct RankedDocument: Hashable, Sendable {
    /// Its number in the corpus.
    package let document: Int
    /// Its similarity to the query; the higher, the nearer.
    package let score: Float

    /// Describes a document that was found.
    package init(document: Int, score: Float) {
        self.document = document
        self.score = score
    }
}

/// Ranks the documents of a corpus for each query.
///
/// The corpus is encoded in chunks in the order of ids, so that equal scores are ordered by ids whatever the chunks, and
/// vectors of one chunk exist at a time.
package struct DocumentRanking {
    /// Which of two documents with equal scores comes first.
    package enum TieOrder: Hashable, Sendable {
        /// The one with the smaller id, as in sentence-transformers.
        case ascendingID
        /// The one with the greater id, as in trec_eval.
        case descendingID
    }

    /// What is searched.
    package var data: RetrievalData
    /// How many documents to find for each query.
    package var depth: Int
    /// Which of two documents with equal scores comes first.
    package var ties = TieOrder.ascendingID
    /// Whether a document with the id of the query is passed over, as tasks ask for whose queries are documents.
    package var passesOverQueries = false
    /// How many documents are encoded at a time.
    package var chunkSize = 50_000
    /// What to put before each query.
    package var queryPrompt = TextEmbeddingPipeline.Prompt.default
    /// What to put before each document.
    package var documentPrompt = TextEmbeddingPipeline.Prompt.default
    /// The number of leading dimensions to keep; nil for what the model says.
    package var truncateDimension: Int?

    /// Ranks documents of some data.
    ///
    /// - Parameters:
    ///   - data: What is searched.
    ///   - depth: How many documents to find for each query, 1 or more.
    package init(_ data: RetrievalData, depth: Int) {
        self.data = data
        self.depth = depth
    }

    /// Finds the nearest documents.
    ///
    /// - Parameters:
    ///   - model: The model.
    ///   - similarities: How to compare.
    ///   - progress: Told how many of the documents are done.
    /// - Returns: For each similarity and query the documents, best first.
    /// - Throws: What the model and the texts throw; `TorchError` without memory; `CancellationError`.
    package func callAsFunction(
        _ model: any TextVectors,
        similarities: [EmbeddingSimilarity],
        progress: (Int) -> Void = { _ in }
    ) throws -> [[[RankedDocument]]] {
        let queries = try model.vectors(
            of: data.queries(0..<data.queries.count),
            role: .query,
            prompt: queryPrompt,
            truncateDimension: truncateDimension,
            normalize: false
        )
        var rankings = similarities.map { _ in [[RankedDocument]](repeating: [], count: queries.count) }
        for chunk in chunks() {
            let vectors = try model.vectors(
                of: chunk.map { try data.documents(Int($0)) },
                role: .document,
                prompt: documentPrompt,
                truncateDimension: truncateDimension,
                normalize: false
            )
            for (place, similarity) in similarities.enumerated() {
                let found = try ExactSearch(corpus: vectors, similarity: similarity).topK(
                    queries,
                    k: searchDepth,
                    ties: ties == .ascendingID ? .ascendingIndex : .descendingIndex
                )
                for (query, hits) in found.enumerated() {
                    let documents = hits.map {
                        RankedDocument(document: Int(chunk[chunk.startIndex + $0.index]), score: $0.score)
                    }
                    rankings[place][query] = merged(rankings[place][query], documents)
                }
            }
            progress(min(data.documentIDs.count, chunk.endIndex))
        }
        return rankings.map(finished)
    }

    /// One more than is asked for, where the query itself may be among the documents.
    private var searchDepth: Int { passesOverQueries ? depth + 1 : depth }

    /// The documents that are encoded together, by ascending id.
    func chunks() -> [ArraySlice<Int32>] {
        stride(from: 0, to: data.documentOrder.count, by: chunkSize).map {
            data.documentOrder[$0..<min(data.documentOrder.count, $0 + chunkSize)]
        }
    }

    /// The best of two rankings; the ids of the second are all greater.
    private func merged(_ one: [RankedDocument], _ other: [RankedDocument]) -> [RankedDocument] {
        guard !one.isEmpty else { return other }
        let limit = searchDepth
        var result: [RankedDocument] = []
        result.reserveCapacity(limit)
        var (left, right) = (one[...], other[...])
        while result.count < limit {
            guard let first = left.first else {
                result += right.prefix(limit - result.count)
                break
            }
            guard let second = right.first else {
                result += left.prefix(limit - result.count)
                break
            }
            if first.score > second.score || first.score == second.score && ties == .ascendingID {
                result.append(left.removeFirst())
            } else {
                result.append(right.removeFirst())
            }
        }
        return result
    }

    /// Adds the documents of a chunk to a ranking.
    ///
    /// - Parameters:
    ///   - scores: The score of each document of the chunk.
    ///   - chunk: The documents, whose ids are greater than all in the ranking.
    ///   - ranking: The ranking of a query.
    func take(_ scores: [Float], of chunk: ArraySlice<Int32>, into ranking: inout [RankedDocument]) {
        let order = scores.indices.sorted {
            scores[$0] != scores[$1] ? scores[$0] > scores[$1] : ($0 < $1) == (ties == .ascendingID)
        }
        let best = order.prefix(searchDepth).map {
            RankedDocument(document: Int(chunk[chunk.startIndex + $0]), score: scores[$0])
        }
        ranking = merged(ranking, best)
    }

    /// Rankings as they are returned.
    func finished(_ rankings: [[RankedDocument]]) -> [[RankedDocument]] {
        guard passesOverQueries else { return rankings }
        return rankings.enumerated().map { query, documents in
            let id = ExactName(data.queryIDs[query])
            return Array(documents.filter { ExactName(data.documentIDs[$0.document]) != id }.prefix(depth))
        }
    }
}
