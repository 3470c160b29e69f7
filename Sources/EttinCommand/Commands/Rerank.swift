import ArgumentParser
import EttinInference
import EttinJSON
import EttinModel
import EttinTokenizer
import Torch

/// The command `ettin rerank`.
struct Rerank: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Score documents by their relevance to a query.",
        discussion: """
            Prints score, number and text of each document, most relevant first. With
            --json, prints one list of "corpus_id", "score" and "text" per query.

            Without a query, reads JSON Lines from --input or standard input:
            {"query": …, "documents": […]}, or {"query": …, "document": …} for the
            score of one pair. With a query but no documents, reads those, one per line.

            Scores are those of the model's own activation function. Raw scores have
            no bounds: compare them within a query. --scale-scores maps raw scores to
            1 / (1 + exp(-score)), between 0 and 1 in the same order; they are no
            calibrated probabilities. A multi-vector model scores by MaxSim.

            Examples:

              ettin rerank reranker "capital of France" "Paris is." "A cat sits."
              ettin rerank reranker "capital of France" --input passages.txt --top-k 10
              ettin rerank reranker --input queries.jsonl --truncate --json
            """
    )

    @OptionGroup var model: ModelArgument

    @Argument(help: "Query; reads JSON Lines if there is none, or for -.")
    var query: String?

    @Argument(help: "Documents; reads --input or standard input if there are none.")
    var documents: [String] = []

    @Option(
        name: .shortAndLong,
        help: ArgumentHelp(
            "Input file: with a query, one document or {\"text\": …} per line; else JSON Lines of queries and documents.",
            valueName: "file"
        ),
        completion: .file()
    )
    var input: String?

    @Option(help: ArgumentHelp("Number of documents to print per query (default: all).", valueName: "count"))
    var topK: Int?

    @Option(help: "Activation function: identity or sigmoid (default: the model's).")
    var activation: ScoreActivation?

    @Flag(help: "Map raw scores to the range 0 to 1.")
    var scaleScores = false

    @Option(help: ArgumentHelp("Prompt to prepend to each query.", valueName: "text"))
    var prompt: String?

    @Option(help: ArgumentHelp("Name of one of the model's prompts to prepend to each query.", valueName: "name"))
    var promptName: String?

    @OptionGroup var truncation: TruncationOptions
    @OptionGroup var batches: BatchOptions
    @OptionGroup var compute: ModelOptions
    @OptionGroup var json: JSONOption

    enum ScoreActivation: String, ExpressibleByArgument, CaseIterable {
        case identity
        case sigmoid

        var function: Activation { self == .identity ? .identity : .sigmoid }
    }

    /// A line of the input.
    private enum Request {
        case ranking(query: String, documents: [String])
        case pair(TextPair)

        var pairs: [TextPair] {
            switch self {
            case .ranking(let query, let documents): documents.map { TextPair(query, $0) }
            case .pair(let pair): [pair]
            }
        }
    }

    func validate() throws {
        if let topK, topK < 1 { throw ValidationError("--top-k is \(topK); expected 1 or more") }
        if prompt != nil, promptName != nil { throw ValidationError("--prompt and --prompt-name cannot be combined") }
        if activation != nil, scaleScores {
            throw ValidationError("--activation and --scale-scores cannot be combined")
        }
        if input != nil, !documents.isEmpty {
            throw ValidationError("documents are given both as arguments and with --input; expected one of the two")
        }
    }

    func run() throws {
        let folder = try model.folder()
        let requests = try requests()
        let isLate = try FolderEvidence(folder: folder)?.kind == .multiVector
        let (scores, isTruncated) = try isLate ? lateScores(requests, folder) : scores(requests, folder)
        truncation.report(isTruncated)
        var next = 0
        try StandardOutput.write { output in
            for request in requests {
                let count = request.pairs.count
                try write(request, Array(scores[next..<next + count]), to: output)
                next += count
            }
        }
    }

    private var queryPrompt: RerankingPipeline.Prompt {
        prompt.map { .text($0) } ?? promptName.map { .named($0) } ?? .default
    }

    private func scores(_ requests: [Request], _ folder: String) throws -> (values: [Double], isTruncated: [Bool]) {
        let pipeline = try RerankingPipeline(folder: folder, options: compute.prepare())
        pipeline.notices.forEach(Diagnostics.note)
        let scores = try pipeline.predict(
            requests.flatMap(\.pairs),
            prompt: queryPrompt,
            activation: activation?.function,
            scalesScores: scaleScores,
            overlong: truncation.rule(for: pipeline.tokenizer),
            maxBatchTokens: batches.maxBatchTokens
        )
        return (scores.map(\.value), scores.map(\.isTruncated))
    }

    /// Scores by late interaction.
    private func lateScores(
        _ requests: [Request],
        _ folder: String
    ) throws -> (values: [Double], isTruncated: [Bool]) {
        if activation != nil || scaleScores {
            let flag = scaleScores ? "--scale-scores" : "--activation"
            throw ValidationError("\(flag) does not apply to a multi-vector model, whose scores are sums of cosines")
        }
        let pipeline = try LateInteractionPipeline(folder: folder, options: compute.prepare())
        pipeline.notices.forEach(Diagnostics.note)
        let (rule, maxBatchTokens) = (truncation.rule(for: pipeline.tokenizer), batches.maxBatchTokens)
        let pairs = requests.flatMap(\.pairs)
        let (firstPairs, owners) = distinctQueries(pairs)
        let queries = try InferenceError.numbering({ firstPairs[$0 - 1] + 1 }) {
            try pipeline.encode(
                firstPairs.map { pairs[$0].first },
                as: .query,
                prompt: queryPrompt,
                overlong: rule,
                maxBatchTokens: maxBatchTokens
            )
        }
        var (values, isTruncated) = ([Double](), [Bool]())
        // Enough documents for full batches, few enough for memory.
        for start in stride(from: 0, to: pairs.count, by: 4096) {
            let part = Array(start..<min(start + 4096, pairs.count))
            let documents = try InferenceError.numbering({ $0 + start }) {
                try pipeline.encode(part.map { pairs[$0].second }, overlong: rule, maxBatchTokens: maxBatchTokens)
            }
            isTruncated += zip(part, documents.isTruncated).map { $1 || queries.isTruncated[owners[$0]] }
            // The documents of one query follow each other.
            var next = 0
            while next < part.count {
                let query = owners[part[next]]
                let end = part[next...].firstIndex { owners[$0] != query } ?? part.count
                values += pipeline.similarity(queries[query..<query + 1], documents[next..<end])[0].map { Double($0) }
                next = end
            }
        }
        return (values, isTruncated)
    }

    /// The places of the pairs with a query that is new, and for each pair the number of its query among these.
    private func distinctQueries(_ pairs: [TextPair]) -> (firstPairs: [Int], owners: [Int]) {
        // By bytes: `==` of strings would take different spellings of a character for the same.
        var numbers: [[UInt8]: Int] = [:]
        var firstPairs: [Int] = []
        let owners = pairs.enumerated().map { index, pair in
            let key = Array(pair.first.utf8)
            if let number = numbers[key] { return number }
            numbers[key] = firstPairs.count
            firstPairs.append(index)
            return firstPairs.count - 1
        }
        return (firstPairs, owners)
    }

    private func write(_ request: Request, _ scores: [Double], to output: StandardOutput) throws {
        switch request {
        case .pair:
            try json.isOn ? output.line(["score": JSONValue(scores[0])]) : output.line(scores[0].shown)
        case .ranking(_, let documents):
            let ranked = scores.ranked(topK: topK)
            guard !json.isOn else {
                return try output.line(
                    .array(
                        ranked.map { index in
                            [
                                "corpus_id": JSONValue(index), "score": JSONValue(scores[index]),
                                "text": .string(documents[index]),
                            ]
                        }
                    )
                )
            }
            for index in ranked {
                try output.line("\(scores[index].shown)  \("\(index)".padded(to: 4))  \(documents[index].onOneLine)")
            }
        }
    }

    private func requests() throws -> [Request] {
        if let query, query != "-" {
            if !documents.isEmpty, documents != ["-"] { return [.ranking(query: query, documents: documents)] }
            let path = input ?? "-"
            var reader = try TextReader(path)
            let texts = try reader.rest()
            guard !texts.isEmpty else { throw NoTexts(source: path == "-" ? "standard input" : path) }
            return [.ranking(query: query, documents: texts)]
        }
        if !documents.isEmpty { throw ValidationError("the query is -, which reads JSON Lines; expected no documents") }
        let expected = "{\"query\": …, \"documents\": […]} or {\"query\": …, \"document\": …}"
        return try Record.all(input ?? "-", expected: expected).map { record in
            let query = try record.text("query")
            if record.has("document") {
                if record.has("documents") {
                    throw record.error("has \"document\" and \"documents\"", expected: "one of the two")
                }
                return .pair(TextPair(query, try record.text("document")))
            }
            return .ranking(query: query, documents: try record.texts("documents"))
        }
    }
}
