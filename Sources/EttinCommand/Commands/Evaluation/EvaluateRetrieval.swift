import ArgumentParser
import EttinEvaluation
import EttinFiles
import EttinInference
import EttinJSON
import EttinModel

/// The command `ettin evaluate retrieval`.
struct EvaluateRetrieval: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "retrieval",
        abstract: "Rank a corpus for its queries, and measure by the rules of trec_eval.",
        discussion: """
            The data folder has BEIR's layout: corpus.jsonl, queries.jsonl and
            qrels/test.tsv. A document is its title and its text. Every query is
            compared with every document; BM25 is a row to compare with.

            Gains of nDCG are the grades as they are, equal scores are ordered by
            descending document id, and MAP is divided by all relevant documents, as
            trec_eval does it. Evaluators during training follow other rules, those of
            sentence-transformers.

            Queries get the model's prompt "query", documents the first of
            "document", "passage" and "corpus", where the model has them. Texts longer
            than the model's context are truncated, and counted. Embedding models,
            sparse (SPLADE) and multi-vector (ColBERT) models can be compared, and
            rerankers (cross-encoders), which rank the first 100 documents of BM25;
            without a model, only BM25 is measured.

            Examples:

              ettin evaluate retrieval embedder beir/scifact
              ettin evaluate retrieval before after beir/scifact --k 10,100 --json
              ettin evaluate retrieval embedder beir/scifact --run run.txt
              ettin evaluate retrieval reranker beir/scifact --rerank-k 50
            """
    )

    @Argument(
        help: ArgumentHelp(
            "Models (folders or names on the Hub), then the data folder.",
            valueName: "model> ... <folder"
        )
    )
    var arguments: [String]

    @Option(help: ArgumentHelp("Split of the judgements: qrels/<split>.tsv.", valueName: "name"))
    var split = "test"

    @Option(help: ArgumentHelp("Cut-offs of the metrics, separated by commas.", valueName: "counts"))
    var k = CommaList([10, 100])

    @Option(help: "How embeddings are compared (default: the model's).")
    var similarity: EmbeddingSimilarity?

    @Option(help: ArgumentHelp("Number of leading dimensions to keep.", valueName: "count"))
    var truncateDim: Int?

    @Option(help: ArgumentHelp("Prompt to prepend to each query.", valueName: "text"))
    var queryPrompt: String?

    @Option(help: ArgumentHelp("Name of one of the model's prompts for queries.", valueName: "name"))
    var queryPromptName: String?

    @Option(help: ArgumentHelp("Prompt to prepend to each document.", valueName: "text"))
    var corpusPrompt: String?

    @Option(help: ArgumentHelp("Name of one of the model's prompts for documents.", valueName: "name"))
    var corpusPromptName: String?

    @Option(
        help: ArgumentHelp("Documents of BM25 that a reranker ranks for each query (default: 100).", valueName: "count")
    )
    var rerankK: Int?

    @Flag(help: "Leave out a document whose id is the query's, as ArguAna and Quora need it.")
    var ignoreIdenticalIds = false

    @Flag(inversion: .prefixedNo, help: "Measure BM25 too (k1 0.9, b 0.4).")
    var bm25 = true

    @Option(
        name: .customLong("run"),
        help: ArgumentHelp("Write the ranking as a TREC run: 1,000 documents per query.", valueName: "file"),
        completion: .file()
    )
    var runFile: String?

    @OptionGroup var batches: BatchOptions
    @OptionGroup var compute: ModelOptions
    @OptionGroup var json: JSONOption

    private var models: ArraySlice<String> { arguments.dropLast() }

    /// The options given that BM25 has no use for.
    private var optionsOfModels: [String] {
        [
            ("--similarity", similarity != nil), ("--truncate-dim", truncateDim != nil),
            ("--query-prompt", queryPrompt != nil), ("--query-prompt-name", queryPromptName != nil),
            ("--corpus-prompt", corpusPrompt != nil), ("--corpus-prompt-name", corpusPromptName != nil),
            ("--rerank-k", rerankK != nil),
        ].filter(\.1).map(\.0)
    }

    func validate() throws {
        if let wrong = k.elements.first(where: { $0 < 1 }) {
            throw ValidationError("--k is \(wrong); expected 1 or more")
        }
        if let rerankK, rerankK < 1 { throw ValidationError("--rerank-k is \(rerankK); expected 1 or more") }
        if let truncateDim, truncateDim < 1 {
            throw ValidationError("--truncate-dim is \(truncateDim); expected 1 or more")
        }
        if queryPrompt != nil, queryPromptName != nil {
            throw ValidationError("--query-prompt and --query-prompt-name cannot be combined")
        }
        if corpusPrompt != nil, corpusPromptName != nil {
            throw ValidationError("--corpus-prompt and --corpus-prompt-name cannot be combined")
        }
        if models.isEmpty, !bm25 { throw ValidationError("there is nothing to measure; expected a model, or BM25") }
        if models.isEmpty, let option = optionsOfModels.first {
            throw ValidationError(
                "\(option) applies to models, and none is given; expected a model before the data folder"
            )
        }
        if runFile != nil, models.count > 1 {
            throw ValidationError("--run is given with \(models.count) models; expected one, as a run has one ranking")
        }
    }

    func run() throws {
        if let runFile { try AtomicFile.checkPlace(runFile) }
        guard let path = arguments.last else { throw ValidationError("the data folder is missing") }
        let folder = try BEIRFolder(path, split: split)
        for notice in folder.notices { Diagnostics.note("note: \(notice)") }
        if let runFile { try TRECRun.check(folder.data, runFile) }
        let report = RetrievalReport(path: path, split: split, data: folder.data, cutoffs: k.elements)
        var rows: [RetrievalReport.Row] = []
        let options = try compute.prepare()
        for name in models {
            // A model is loaded, measured and let go before the next one.
            rows.append(try measure(name, folder.data, options))
        }
        if rerankK != nil, rows.allSatisfy({ $0.rerankedCount == nil }) {
            Diagnostics.note("note: --rerank-k has no effect, as none of the models is a reranker")
        }
        if bm25 { rows.append(try measureBM25(folder.data)) }
        if json.isOn { return try StandardOutput.write(document: report.document(rows)) }
        try StandardOutput.write { output in
            for line in report.lines(rows) { try output.line(line) }
        }
    }

    private func measure(
        _ name: String,
        _ data: RetrievalData,
        _ options: ComputeOptions
    ) throws -> RetrievalReport.Row {
        let begin = ContinuousClock.now
        let model = try RetrievalModel(
            folder: HubAccess.modelFolder(name, revision: nil),
            options: options,
            maxBatchTokens: batches.maxBatchTokens
        )
        try check(model, name)
        for notice in model.notices { Diagnostics.note(notice) }
        var ranking = DocumentRanking(data, depth: depth)
        ranking.ties = .descendingID
        ranking.passesOverQueries = ignoreIdenticalIds
        ranking.chunkSize = 4096
        ranking.queryPrompt = queryPrompt.map { .text($0) } ?? queryPromptName.map { .named($0) } ?? .default
        ranking.documentPrompt = corpusPrompt.map { .text($0) } ?? corpusPromptName.map { .named($0) } ?? .default
        ranking.truncateDimension = truncateDim
        let progress = ProgressReport()
        let (rankings, truncated) = try model.rank(ranking, similarity: similarity, rerankCount: rerankCount) {
            progress.update(model.isReranker ? "pairs scored" : "documents encoded", done: $0, of: $1)
        }
        progress.finish()
        if truncated > 0 {
            Diagnostics.note("\(name): truncated \(truncated) \(model.isReranker ? "pairs" : "texts")")
        }
        if let runFile {
            try TRECRun.write(rankings, of: data, tag: FilePath.lastComponent(of: name), to: runFile)
        }
        return RetrievalReport.Row(
            name: name,
            similarity: similarity?.rawValue ?? model.similarityName,
            rerankedCount: model.isReranker ? rerankCount : nil,
            evaluation: RetrievalEvaluation(rankings, of: data, cutoffs: k.elements),
            truncatedTexts: truncated,
            seconds: (ContinuousClock.now - begin) / .seconds(1)
        )
    }

    private func measureBM25(_ data: RetrievalData) throws -> RetrievalReport.Row {
        let begin = ContinuousClock.now
        let rankings = try BM25().rankings(data, depth: depth, passesOverQueries: ignoreIdenticalIds)
        if let runFile, models.isEmpty { try TRECRun.write(rankings, of: data, tag: "BM25", to: runFile) }
        return RetrievalReport.Row(
            name: "BM25",
            similarity: nil,
            rerankedCount: nil,
            evaluation: RetrievalEvaluation(rankings, of: data, cutoffs: k.elements),
            truncatedTexts: 0,
            seconds: (ContinuousClock.now - begin) / .seconds(1)
        )
    }

    private var rerankCount: Int { rerankK ?? 100 }

    /// As deep as metrics ask, and as runs are by custom.
    private var depth: Int { max(1000, k.elements.max() ?? 1) }

    private func check(_ model: RetrievalModel, _ name: String) throws {
        if model.isReranker, corpusPrompt != nil || corpusPromptName != nil {
            throw ValidationError(
                "\(corpusPrompt == nil ? "--corpus-prompt-name" : "--corpus-prompt") applies to models that encode "
                    + "documents; \(name) is a reranker, whose prompt stands before the query"
            )
        }
        if model.givesEmbeddings, let truncateDim, truncateDim > model.dimensions {
            throw ValidationError(
                "--truncate-dim is \(truncateDim); expected 1 to \(model.dimensions), the width of an embedding of \(name)"
            )
        }
        guard !model.givesEmbeddings else { return }
        if similarity != nil {
            throw ValidationError(
                "--similarity applies to embedding models; \(name) compares by \(model.similarityName)"
            )
        }
        if truncateDim != nil { throw ValidationError("--truncate-dim applies to embedding models, not to \(name)") }
    }
}
