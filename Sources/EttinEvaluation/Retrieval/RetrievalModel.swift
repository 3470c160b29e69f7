package import EttinInference
package import EttinModel

/// A model that ranks the documents of a corpus: by vectors, weights of the vocabulary, a vector for each token, or, of
/// those that BM25 found, by a score for each pair.
package struct RetrievalModel {
    private enum Pipeline {
        case embedding(TextEmbeddingPipeline)
        case sparse(SparseEmbeddingPipeline)
        case multiVector(LateInteractionPipeline)
        case reranker(RerankingPipeline)
    }

    /// The folder of the model.
    package let folder: String
    private let pipeline: Pipeline
    private let maxBatchTokens: Int

    /// Queries whose scores exist at a time, where a score is computed for each document.
    fileprivate static let queriesAtOnce = 64

    /// Loads a model.
    ///
    /// - Parameters:
    ///   - folder: A folder of an embedding model, a sparse or a multi-vector model, a reranker, or any transformer.
    ///   - options: Where and in which precision to compute.
    ///   - maxBatchTokens: Maximum number of tokens per batch.
    /// - Throws: As the pipelines do for files that are missing or broken.
    package init(
        folder: String,
        options: ComputeOptions = ComputeOptions(),
        maxBatchTokens: Int = defaultMaxBatchTokens
    ) throws {
        self.folder = folder
        self.maxBatchTokens = maxBatchTokens
        switch try FolderEvidence(folder: folder)?.kind {
        case .multiVector: pipeline = .multiVector(try LateInteractionPipeline(folder: folder, options: options))
        case .sparse: pipeline = .sparse(try SparseEmbeddingPipeline(folder: folder, options: options))
        case .reranker, .classifier: pipeline = .reranker(try RerankingPipeline(folder: folder, options: options))
        default: pipeline = .embedding(try TextEmbeddingPipeline(folder: folder, options: options))
        }
    }

    /// What the folder's files say that has no effect, a sentence each.
    package var notices: [String] {
        switch pipeline {
        case .embedding(let pipeline): pipeline.notices
        case .sparse(let pipeline): pipeline.notices
        case .multiVector(let pipeline): pipeline.notices
        case .reranker(let pipeline): pipeline.notices
        }
    }

    /// Whether vectors can be compared by a similarity of the caller's choice, and shortened.
    package var givesEmbeddings: Bool {
        if case .embedding = pipeline { true } else { false }
    }

    /// Whether the model scores pairs, of which there are too many for a corpus.
    package var isReranker: Bool {
        if case .reranker = pipeline { true } else { false }
    }

    /// How the model compares by default, by the names that its files have.
    package var similarityName: String {
        switch pipeline {
        case .embedding(let pipeline): pipeline.similarity.rawValue
        case .sparse(let pipeline): pipeline.model.settings.similarity.rawValue
        case .multiVector: "MaxSim"
        case .reranker: "cross-encoder"
        }
    }

    /// The width of an embedding; 1 for a reranker.
    package var dimensions: Int {
        switch pipeline {
        case .embedding(let pipeline): pipeline.model.dimensions
        case .sparse(let pipeline): pipeline.model.dimensions
        case .multiVector(let pipeline): pipeline.model.dimensions
        case .reranker: 1
        }
    }

    /// Ranks the documents for each query.
    ///
    /// - Parameters:
    ///   - ranking: What is searched, and how.
    ///   - similarity: How to compare embeddings; nil for what the model says, as other models compare in any case.
    ///   - rerankCount: How many of the documents that BM25 found a reranker ranks for each query, 1 or more.
    ///   - progress: Told how many of the documents are done, or of the pairs of a reranker.
    /// - Returns: For each query the documents, best first, and how many texts were truncated.
    /// - Throws: What the model and the texts throw.
    package func rank(
        _ ranking: DocumentRanking,
        similarity: EmbeddingSimilarity? = nil,
        rerankCount: Int = 100,
        progress: (_ done: Int, _ total: Int) -> Void = { _, _ in }
    ) throws -> (rankings: [[RankedDocument]], truncatedTexts: Int) {
        let documentCount = ranking.data.documentIDs.count
        func encoded(_ done: Int) { progress(done, documentCount) }
        var truncated = 0
        func counted(_ isTruncated: [Bool]) { truncated += isTruncated.count { $0 } }
        switch pipeline {
        case .embedding(let pipeline):
            let vectors = CountedVectors(pipeline: pipeline, maxBatchTokens: maxBatchTokens)
            let rankings = try ranking(
                vectors,
                similarities: [similarity ?? pipeline.similarity],
                progress: encoded
            )[0]
            return (rankings, vectors.truncatedTexts)
        case .sparse(let pipeline):
            let queries = try pipeline.encode(
                ranking.data.queries(0..<ranking.data.queries.count),
                as: .query,
                prompt: ranking.queryPrompt,
                overlong: .keepStart,
                maxBatchTokens: maxBatchTokens
            )
            counted(queries.isTruncated)
            let rankings = try ranking.rankings(progress: encoded) { texts in
                let documents = try pipeline.encode(
                    texts,
                    as: .document,
                    prompt: ranking.documentPrompt,
                    overlong: .keepStart,
                    maxBatchTokens: maxBatchTokens
                )
                counted(documents.isTruncated)
                return { documents.scores(queries.vectors[$0], by: pipeline.model.settings.similarity) }
            }
            return (rankings, truncated)
        case .multiVector(let pipeline):
            let texts = try ranking.data.queries(0..<ranking.data.queries.count)
            func vectors(_ texts: [String], _ role: TextRole) throws -> MultiVectorEmbeddings {
                let vectors = try pipeline.encode(
                    texts,
                    as: role,
                    prompt: role == .query ? ranking.queryPrompt : ranking.documentPrompt,
                    overlong: .keepStart,
                    maxBatchTokens: maxBatchTokens
                )
                counted(vectors.isTruncated)
                return vectors
            }
            let queries = try stride(from: 0, to: texts.count, by: Self.queriesAtOnce).map {
                try vectors(Array(texts[$0..<min(texts.count, $0 + Self.queriesAtOnce)]), .query)
            }
            let rankings = try ranking.rankings(progress: encoded) { texts in
                let documents = try vectors(texts, .document)
                return { rows in pipeline.similarity(queries[rows.lowerBound / Self.queriesAtOnce], documents) }
            }
            return (rankings, truncated)
        case .reranker(let pipeline):
            let reranking = DocumentReranking(ranking, count: rerankCount, maxBatchTokens: maxBatchTokens)
            return try reranking(pipeline, progress: progress)
        }
    }
}

extension DocumentRanking {
    /// Ranks documents by scores that are computed for each of them.
    ///
    /// - Parameters:
    ///   - progress: Told how many of the documents are done.
    ///   - encode: Takes the texts of a chunk, and gives what scores its documents for some queries.
    /// - Returns: For each query the documents, best first.
    /// - Throws: What `encode` and what it gives throw; what reading the texts throws; `CancellationError`.
    fileprivate func rankings(
        progress: (Int) -> Void,
        _ encode: ([String]) throws -> (Range<Int>) throws -> [[Float]]
    ) throws -> [[RankedDocument]] {
        let count = data.queryIDs.count
        var rankings = [[RankedDocument]](repeating: [], count: count)
        for chunk in chunks() {
            let scores = try encode(chunk.map { try data.documents(Int($0)) })
            for begin in stride(from: 0, to: count, by: RetrievalModel.queriesAtOnce) {
                try Task.checkCancellation()
                let rows = begin..<min(count, begin + RetrievalModel.queriesAtOnce)
                for (row, scores) in zip(rows, try scores(rows)) { take(scores, of: chunk, into: &rankings[row]) }
            }
            progress(min(data.documentIDs.count, chunk.endIndex))
        }
        return finished(rankings)
    }
}
