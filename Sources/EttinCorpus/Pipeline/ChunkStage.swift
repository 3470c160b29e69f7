public import EttinJSON
public import EttinTokenizer

/// Cuts tokenised documents into chunks: the third stage of the published pipeline.
///
/// Each chunk becomes one sample with the columns `id`, that of its document, and `input_ids`.
public struct ChunkStage: Sendable {
    /// The data set of tokenised documents.
    package var input: String
    /// The tokenizer that made it.
    package var tokenizer: Tokenizer
    /// The sizes and rules.
    package var chunking: ChunkOptions
    /// Where the tokenizer comes from, for messages.
    package var tokenizerName = "the tokenizer"

    /// Prepares the stage.
    ///
    /// - Parameters:
    ///   - input: The data set of tokenised documents.
    ///   - tokenizer: The tokenizer that made it; it is used with a prefix space.
    ///   - chunking: The sizes and rules.
    public init(input: String, tokenizer: Tokenizer, chunking: ChunkOptions) {
        self.input = input
        self.tokenizer = tokenizer.withPrefixSpace(true)
        self.chunking = chunking
    }

    private struct Counts {
        var records = 0
        /// Chunks of the record after those, already written.
        var chunks = 0
        var duplicated = 0
        var skipped = 0
        var lengths = LengthHistogram()

        init() {}

        init(_ state: ResumedState, _ samples: ResumedSamples) throws {
            records = try state.count("records")
            chunks = try state.count("chunks")
            duplicated = try state.count("duplicated")
            skipped = try state.count("skipped")
            lengths = samples.lengths
            try state.check("lengths", is: lengths.json, "the lengths of what the shards hold")
        }

        var json: JSONValue {
            [
                "records": JSONValue(records), "chunks": JSONValue(chunks), "duplicated": JSONValue(duplicated),
                "skipped": JSONValue(skipped), "lengths": lengths.json,
            ]
        }
    }

    private final class Run {
        var counts = Counts()
    }

    /// Runs the stage, or what an earlier run has left of it.
    ///
    /// - Parameter options: Output, part, threads.
    /// - Returns: The manifest: what was read, with which parameters, and the counts.
    /// - Throws: `CorpusError` when the input is missing or malformed, was made with another tokenizer, holds ids that the
    ///   tokenizer does not know, or the output cannot be written. Complete shards stay, and a later run resumes after them.
    @discardableResult
    public func run(_ options: StageOptions) throws -> JSONValue {
        let found = try CorpusInput.mdsDataset(input)
        let header = StageHeader.make(
            stage: "chunk",
            parameters: parameters,
            inputs: [try InputFingerprint.of(found)],
            options: options
        )
        if let manifest = try StageOutput.finishedManifest(folder: options.output, header: header) { return manifest }
        _ = try DatasetTokenizer.check(input, against: tokenizer, from: tokenizerName)
        let chunker = try Chunker(tokenizer: tokenizer, options: chunking)
        let dataset = try MDSDataset(folder: input, decompression: .intoMemory, openShardLimit: 1)
        try dataset.checkFiles()
        let element = StageHeader.element(for: tokenizer)
        let run = Run()
        let output = try StageOutput(
            folder: options.output,
            header: header,
            schema: MDSSchema([("id", .string), ("input_ids", .array(element: element, shape: nil))]),
            options: options.writing
        ) { run.counts.json }
        let range = options.part.range(of: dataset.sampleCount)
        if let (state, samples) = output.resumed {
            run.counts = try Counts(state, samples)
            try check(state, samples, run.counts, dataset, range)
        }
        var documents = ChunkInput(dataset, range, chunker, vocabularySize: tokenizer.vocabularySize)
        try documents.skip(run.counts.records)
        var progress = JobProgress()
        progress.workTotal = range.count
        try OrderedWork.run(threads: options.threads) {
            try documents.next()
        } transform: { documents in
            try documents.map { document in
                let result = chunker.chunks(of: document.ids, draw: document.draw)
                let values = try result.chunks.map { chunk -> [MDSValue] in
                    [.string(document.id), .array(try MDSArray(tokenIDs: chunk, element: element))]
                }
                return (values, result)
            }
        } consume: { (documents: [([[MDSValue]], Chunker.Result)]) in
            for (values, result) in documents {
                for (index, value) in values.enumerated().dropFirst(run.counts.chunks) {
                    try output.append(value)
                    run.counts.lengths.add(result.chunks[index].count)
                    run.counts.chunks += 1
                }
                run.counts.records += 1
                run.counts.chunks = 0
                run.counts.duplicated += result.duplicatedTokenCount
                run.counts.skipped += result.skippedTokenCount
            }
            progress.workDone = run.counts.records
            progress.recordCount = run.counts.records
            progress.sampleCount = output.sampleCount
            progress.tokenCount = run.counts.lengths.tokenCount
            try options.progress(progress)
        }
        try TokenDeciles.write(output.complete(), column: "input_ids", toFolder: options.output)
        let counts = run.counts
        let statistics: JSONValue = [
            "total_duplicated_tokens": JSONValue(counts.duplicated),
            "total_tokens_written": JSONValue(counts.lengths.tokenCount),
            "total_tokens_skipped": JSONValue(counts.skipped), "percentiles": counts.lengths.publishedPercentiles,
        ]
        let results: JSONObject = [
            "documents": JSONValue(counts.records), "samples": JSONValue(output.sampleCount),
            "tokens": JSONValue(counts.lengths.tokenCount), "duplicated_tokens": JSONValue(counts.duplicated),
            "skipped_tokens": JSONValue(counts.skipped),
        ]
        return try output.finish(files: [("stats.json", statistics)], results: results)
    }

    /// Checks that a stopped run has come as far as its journal says: the last chunk must be of the document that the
    /// journal puts it in.
    private func check(
        _ state: ResumedState,
        _ samples: ResumedSamples,
        _ counts: Counts,
        _ dataset: MDSDataset,
        _ range: Range<Int>
    ) throws {
        guard counts.records <= range.count else {
            throw state.refused("records", "at most \(range.count), because the input has no more")
        }
        func id(_ document: Int) throws -> [UInt8] {
            let (position, local) = dataset.location(of: document)
            return try dataset.shard(position).withDocumentID(of: local) { Array($0) } ?? Array(String(document).utf8)
        }
        var document = range.lowerBound + counts.records - (counts.chunks > 0 ? 0 : 1)
        while document >= range.lowerBound, document < range.upperBound {
            if try id(document) == samples.lastID {
                guard counts.chunks > 0, counts.chunks != samples.lastIDCount else { return }
                // Chunks of a document before it may follow each other with these only when both have one id.
                let follows = try document > range.lowerBound && id(document - 1) == samples.lastID
                guard !follows || counts.chunks > samples.lastIDCount else { return }
                throw state.refused("chunks", "\(samples.lastIDCount), because so many of the document end the shards")
            }
            // A document may have no chunk at all only when short ones are left out, also as the first.
            guard chunking.skipsShortFirst, counts.chunks == 0 else { break }
            document -= 1
        }
        let last = samples.lastID.map { shown(String(decoding: $0, as: UTF8.self)) } ?? "no document"
        throw state.refused("records", "a number by which the last chunk is of \(last), as in the shards")
    }

    private var parameters: JSONObject {
        let draws: JSONValue =
            switch chunking.draws {
            case .sequence(let seed): ["sequence": JSONValue(Int(seed))]
            case .perDocument(let seed): ["per_document": .string(String(seed))]
            }
        return [
            "tokenizer": TokenizerFingerprint(tokenizer).json, "chunk_size": JSONValue(chunking.chunkSize),
            "min_chunk_size": JSONValue(chunking.minimumSize), "always_skip_size": JSONValue(chunking.alwaysSkipSize),
            "backfill": .bool(chunking.backfills), "backfill_no_duplicates": .bool(!chunking.duplicatesBackfill),
            "enforce_min_chunk_size_zeroth": .bool(chunking.skipsShortFirst),
            "add_eos_token": .bool(chunking.addsEndToken), "draws": draws,
        ]
    }
}
