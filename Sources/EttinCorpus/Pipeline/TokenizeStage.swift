public import EttinJSON
public import EttinTokenizer

/// Turns documents into token ids: the second stage of the published pipeline.
///
/// Each document becomes one sample with the columns `id`, `input_ids` and `len`. The tokenizer puts its special tokens
/// around each text and, by default, a space in front of it.
public struct TokenizeStage: Sendable {
    /// Files, folders and patterns to read.
    package var inputs: [String]
    /// How documents are found.
    package var reading: ReadingOptions
    /// The tokenizer.
    package var tokenizer: Tokenizer

    /// Prepares the stage.
    ///
    /// - Parameters:
    ///   - inputs: Files, folders and patterns to read.
    ///   - reading: How documents are found.
    ///   - tokenizer: The tokenizer.
    ///   - addsPrefixSpace: Whether texts get a space in front, whatever the tokenizer's files say.
    public init(
        inputs: [String],
        reading: ReadingOptions = ReadingOptions(),
        tokenizer: Tokenizer,
        addsPrefixSpace: Bool = true
    ) {
        self.inputs = inputs
        self.reading = reading
        self.tokenizer = tokenizer.withPrefixSpace(addsPrefixSpace)
    }

    /// What the stage counts; exactly what a continued run must know.
    private struct Counts {
        var records = 0
        var tokens = 0
        /// As the published pipeline counts them: at most 1024 for each document.
        var truncatedTokens = 0
        var skipped = 0

        var json: JSONValue {
            [
                "records": JSONValue(records), "num_tokens": JSONValue(tokens),
                "num_truncated_tokens": JSONValue(truncatedTokens), "skipped_documents": JSONValue(skipped),
            ]
        }

        init() {}

        /// Those of a stopped run, each of whose records became a sample or was left out.
        init(_ state: ResumedState, _ samples: ResumedSamples) throws {
            skipped = try state.count("skipped_documents")
            records = try state.count(
                "records",
                is: samples.sampleCount + skipped,
                "because the shards hold \(samples.sampleCount) and \(skipped) were left out"
            )
            tokens = try state.count(
                "num_tokens",
                is: samples.lengths.tokenCount,
                samples.holding(samples.lengths.tokenCount, "tokens")
            )
            let truncated = samples.lengths.counts.reduce(0) { $0 + min(TokenizeStage.truncation, $1.key) * $1.value }
            truncatedTokens = try state.count("num_truncated_tokens", is: truncated, samples.holding(truncated, "such"))
        }
    }

    /// As many tokens of a document as the published pipeline counts.
    private static let truncation = 1024

    /// Mutable state that the journal's callback shares with the loop.
    private final class Run {
        var counts = Counts()
    }

    private struct Encoded: Sendable {
        /// For each record its sample; nil for a document that is left out.
        let samples: [(values: [MDSValue], tokenCount: Int)?]
        /// The bytes of all inputs that were read when this was.
        let workDone: Int
    }

    /// Runs the stage, or what an earlier run has left of it.
    ///
    /// - Parameter options: Output, part, threads.
    /// - Returns: The manifest: what was read, with which parameters, and the counts.
    /// - Throws: `CorpusError` when an input is missing or malformed or the output cannot be written. Complete shards
    ///   stay, and a later run resumes after them.
    @discardableResult
    public func run(_ options: StageOptions) throws -> JSONValue {
        let found = try CorpusInput.find(inputs, format: reading.format)
        let header = StageHeader.make(
            stage: "tokenize",
            parameters: parameters,
            inputs: try found.map { try InputFingerprint.of($0) },
            options: options
        )
        if let manifest = try StageOutput.finishedManifest(folder: options.output, header: header) { return manifest }
        let element = StageHeader.element(for: tokenizer)
        let schema = try MDSSchema([
            ("id", .string), ("input_ids", .array(element: element, shape: nil)), ("len", .integer),
        ])
        let run = Run()
        let output = try StageOutput(
            folder: options.output,
            header: header,
            schema: schema,
            options: options.writing
        ) { run.counts.json }
        if let (state, samples) = output.resumed { run.counts = try Counts(state, samples) }

        var reader = DocumentReader(found, options: reading, part: options.part)
        var toSkip = run.counts.records
        var progress = JobProgress()
        progress.workTotal = reader.workTotal
        try OrderedWork.run(threads: options.threads) { () -> (DocumentBatch, Int, Int)? in
            while let batch = try reader.next() {
                guard toSkip < batch.count else {
                    toSkip -= batch.count
                    continue
                }
                defer { toSkip = 0 }
                return (batch, toSkip, reader.workDone)
            }
            return nil
        } transform: { [tokenizer] batch, first, workDone in
            Encoded(samples: try Self.samples(batch, from: first, tokenizer, element), workDone: workDone)
        } consume: { encoded in
            for sample in encoded.samples {
                if let sample {
                    try output.append(sample.values)
                    run.counts.tokens += sample.tokenCount
                    run.counts.truncatedTokens += min(Self.truncation, sample.tokenCount)
                } else {
                    run.counts.skipped += 1
                }
                run.counts.records += 1
            }
            progress.workDone = encoded.workDone
            progress.recordCount = run.counts.records
            progress.sampleCount = output.sampleCount
            progress.tokenCount = run.counts.tokens
            try options.progress(progress)
        }
        if toSkip > 0, let (state, _) = output.resumed {
            throw state.refused("records", "at most the \(run.counts.records - toSkip) that the inputs have")
        }
        let counts = run.counts
        let results: JSONObject = [
            "samples": JSONValue(output.sampleCount), "tokens": JSONValue(counts.tokens),
            "skipped_documents": JSONValue(counts.skipped),
        ]
        let published: JSONValue = [
            "num_tokens": JSONValue(counts.tokens), "num_truncated_tokens": JSONValue(counts.truncatedTokens),
        ]
        return try output.finish(files: [("num_tokens.json", published)], results: results)
    }

    private var parameters: JSONObject {
        let splitting: JSONValue =
            switch reading.splitting {
            case .file: "file"
            case .line: "line"
            case .separator(let text): ["separator": .string(text)]
            }
        return [
            "tokenizer": TokenizerFingerprint(tokenizer).json, "splitting": splitting,
            "text_field": .string(reading.textField), "id_field": .string(reading.idField),
            "format": reading.format.map { .string($0.rawValue) } ?? .null,
            "invalid_text": .string(reading.invalidText.rawValue),
            "empty_documents": .string(reading.emptyDocuments.rawValue),
        ]
    }

    private static func samples(
        _ batch: DocumentBatch,
        from first: Int,
        _ tokenizer: Tokenizer,
        _ element: MDSElement
    ) throws -> [(values: [MDSValue], tokenCount: Int)?] {
        let documents = try batch.documents(from: first)
        let texts = documents.compactMap { $0?.text }
        var encodings = tokenizer.encodeIDsBatch(texts).makeIterator()
        return try documents.map { document -> (values: [MDSValue], tokenCount: Int)? in
            guard let document, let ids = encodings.next() else { return nil }
            // In the order of the columns' names.
            let values: [MDSValue] = [
                .string(document.id), .array(try MDSArray(tokenIDs: ids, element: element)), .integer(Int64(ids.count)),
            ]
            return (values, ids.count)
        }
    }
}
