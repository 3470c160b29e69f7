import EttinInference
import EttinModel

extension SparseEmbeddings {
    /// Compares queries with each of these documents, on all threads.
    ///
    /// - Parameters:
    ///   - queries: Vectors of the same vocabulary.
    ///   - similarity: How they are compared.
    /// - Returns: For each query its scores, those that ``/EttinInference/SparseVector/similarity(to:by:)`` gives to the
    ///   last bit.
    /// - Complexity: O(weights of the documents) a query for inner products, O(weights of both) for others.
    func scores(_ queries: ArraySlice<SparseVector>, by similarity: EmbeddingSimilarity) -> [[Float]] {
        guard similarity == .dot else {
            return queries.map { query in
                concurrentMap(count) { query.similarity(to: vectors[$0], by: similarity) }
            }
        }
        return queries.map { query in
            let weights = query.widened(to: dimensions)
            return concurrentMap(count) { place in
                let document = vectors[place]
                var sum: Float = 0
                for (index, value) in zip(document.indices, document.values) { sum += weights[Int(index)] * value }
                return sum
            }
        }
    }
}

extension SparseVector {
    /// The weights of all entries of the vocabulary.
    func widened(to dimensions: Int) -> [Float] {
        var weights = [Float](repeating: 0, count: dimensions)
        for (index, value) in zip(indices, values) { weights[Int(index)] = value }
        return weights
    }
}

/// How many weights of the texts of a retrieval are not 0.
struct RetrievalSparsity {
    private(set) var queries: Part
    private(set) var documents: Part

    /// The texts of one side.
    struct Part {
        /// The number of texts.
        private(set) var texts = 0
        /// The number of texts that have a weight for each entry of the vocabulary.
        private(set) var counts: [Int]

        init(dimensions: Int) { counts = [Int](repeating: 0, count: dimensions) }

        mutating func count(_ vectors: SparseEmbeddings) {
            texts += vectors.count
            for vector in vectors.vectors { for index in vector.indices { counts[Int(index)] += 1 } }
        }

        /// The number of weights of all texts.
        var weights: Int { counts.reduce(0, +) }

        fileprivate mutating func add(_ other: Part) {
            texts += other.texts
            for index in counts.indices { counts[index] += other.counts[index] }
        }
    }

    init(dimensions: Int) {
        queries = Part(dimensions: dimensions)
        documents = Part(dimensions: dimensions)
    }

    mutating func countQueries(_ vectors: SparseEmbeddings) { queries.count(vectors) }

    mutating func countDocuments(_ vectors: SparseEmbeddings) { documents.count(vectors) }

    /// Adds the texts of another retrieval.
    mutating func add(_ other: RetrievalSparsity) {
        queries.add(other.queries)
        documents.add(other.documents)
    }

    /// The expected number of products of a query with a document: for each entry of the vocabulary the share of queries
    /// that have it, times the share of documents.
    ///
    /// > Source: sentence-transformers 6.2, `SparseInformationRetrievalEvaluator._calculate_avg_flops`.
    var averageFLOPS: Double {
        let (queryCount, documentCount) = (Double(max(1, queries.texts)), Double(max(1, documents.texts)))
        return zip(queries.counts, documents.counts).reduce(0) {
            $0 + Double($1.0) / queryCount * (Double($1.1) / documentCount)
        }
    }

    /// The figures by their names.
    var metrics: [Metric] {
        [("query_", queries), ("corpus_", documents)].flatMap { prefix, part in
            Sparsity(texts: part.texts, weights: part.weights, dimensions: part.counts.count).metrics(prefix: prefix)
        } + [("avg_flops", averageFLOPS)]
    }
}

extension DocumentRanking {
    /// Documents whose weights exist at a time: those of a model that has not learned to be sparse are as many as the
    /// entries of the vocabulary.
    private static let sparseDocumentsAtOnce = 1024

    /// Finds the nearest documents by the weights of a vocabulary, which are never held as vectors of full width.
    ///
    /// - Parameters:
    ///   - model: The model.
    ///   - similarities: How to compare.
    ///   - maxActiveDimensions: Maximum number of weights per text; nil for what the model says.
    /// - Returns: For each similarity and query the documents, best first, and how sparse all texts are.
    /// - Throws: What the model and the texts throw; `CancellationError`.
    func callAsFunction(
        _ model: any SparseTextVectors,
        similarities: [EmbeddingSimilarity],
        maxActiveDimensions: Int?
    ) throws -> (rankings: [[[RankedDocument]]], sparsity: RetrievalSparsity) {
        var sparsity = RetrievalSparsity(dimensions: model.dimensions)
        let queries = try model.vectors(
            of: data.queries(0..<data.queries.count),
            role: .query,
            prompt: queryPrompt,
            maxActiveDimensions: maxActiveDimensions
        )
        sparsity.countQueries(queries)
        var ranking = self
        ranking.chunkSize = min(chunkSize, Self.sparseDocumentsAtOnce)
        var rankings = similarities.map { _ in [[RankedDocument]](repeating: [], count: queries.count) }
        for chunk in ranking.chunks() {
            let documents = try model.vectors(
                of: chunk.map { try data.documents(Int($0)) },
                role: .document,
                prompt: documentPrompt,
                maxActiveDimensions: maxActiveDimensions
            )
            sparsity.countDocuments(documents)
            for (place, similarity) in similarities.enumerated() {
                for query in queries.vectors.indices {
                    try Task.checkCancellation()
                    let scores = documents.scores(queries.vectors[query...query], by: similarity)
                    take(scores[0], of: chunk, into: &rankings[place][query])
                }
            }
        }
        return (rankings.map(finished), sparsity)
    }
}
