import ArgumentParser
import EttinFiles
import EttinInference
import EttinJSON
import EttinModel
import EttinTokenizer

/// The command `ettin embed`.
struct Embed: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Compute embeddings of texts.",
        discussion: """
            Prints one JSON object per text, in input order: "embedding" and
            "truncated". With --output, writes a file instead: .jsonl, .npy or
            .safetensors ("embeddings"), of float32 or the type of --precision. A
            partial file is never left behind. --json then prints a summary.

            A multi-vector (ColBERT) model gives a matrix per text, a row per token;
            --output to .safetensors then holds "embeddings" [rows, width] and
            "lengths" [texts].

            Pooling, normalization and prompts come from the folder's
            sentence-transformers modules. Without modules, encoders use mean pooling
            and decoders last-token pooling. --task query takes the prompt "query"
            where the model has it, --task document the first of "document",
            "passage" and "corpus"; a model with a Router takes the task's route.

            --precision int8 and uint8 count 255 steps between the smallest and the
            largest value of each dimension, those of the texts of --calibration or,
            without it, of the input. binary and ubinary keep the sign, eight
            dimensions to a byte.

            Examples:

              ettin embed encoder "A cat sits." "A feline rests."
              ettin embed encoder --input texts.txt --output vectors.npy
              ettin embed encoder --input texts.jsonl --normalize \\
                --prompt "query: " --truncate -o vectors.safetensors
              ettin embed embedder --task query "What do cats do?"
              ettin embed embedder --input texts.txt --precision int8 \\
                --calibration sample.txt -o vectors.npy
            """
    )

    @OptionGroup var model: ModelArgument
    @OptionGroup var input: InputOptions

    @Option(
        name: .shortAndLong,
        help: ArgumentHelp("Output file: .jsonl, .npy or .safetensors.", valueName: "file"),
        completion: .file()
    )
    var output: String?

    @Option(
        help: ArgumentHelp(
            "Pooling modes, separated by commas, whose vectors are put end to end (default: the model's).",
            valueName: "modes"
        )
    )
    var pooling: CommaList<Pooling>?

    @Flag(help: "L2-normalize the embeddings.")
    var normalize = false

    @Option(help: ArgumentHelp("Prompt to prepend to each text.", valueName: "text"))
    var prompt: String?

    @Option(help: ArgumentHelp("Name of one of the model's prompts to prepend to each text.", valueName: "name"))
    var promptName: String?

    @Option(
        help: "What the texts are to a search, for prompts, routes and multi-vector models (there, default: document)."
    )
    var task: TextRole?

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp(
            "Keep about one vector in this many per document of a multi-vector model.",
            valueName: "factor"
        )
    )
    var poolFactor: Double?

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp("Number of leading dimensions to keep.", valueName: "count")
    )
    var truncateDim: Int?

    @Option(help: "Data type of the embeddings.")
    var precision = EmbeddingPrecision.float32

    @Option(
        help: ArgumentHelp("File of texts whose embeddings give the ranges of int8 and uint8.", valueName: "file"),
        completion: .file()
    )
    var calibration: String?

    @OptionGroup var truncation: TruncationOptions
    @OptionGroup var batches: BatchOptions
    @OptionGroup var compute: ModelOptions
    @OptionGroup var json: JSONOption

    func validate() throws {
        if prompt != nil, promptName != nil { throw ValidationError("--prompt and --prompt-name cannot be combined") }
        if let truncateDim, truncateDim < 1 {
            throw ValidationError("--truncate-dim is \(truncateDim); expected 1 or more")
        }
        if let poolFactor, !(poolFactor >= 1 && poolFactor.isFinite) {
            throw ValidationError("--pool-factor is \(poolFactor); expected 1 or more")
        }
        if calibration != nil, !precision.needsRanges {
            throw ValidationError("--calibration applies to --precision int8 and uint8, not \(precision.rawValue)")
        }
        if let output, EmbeddingFileFormat(path: output) == nil {
            throw ValidationError(
                "--output is \"\(output)\"; expected a name ending in .jsonl, .npy or .safetensors"
            )
        }
    }

    func run() throws {
        let folder = try model.folder()
        if let output { try AtomicFile.checkPlace(output) }
        if try FolderEvidence(folder: folder)?.kind == .multiVector { return try runMultiVector(folder) }
        if poolFactor != nil {
            throw ValidationError(
                "--pool-factor applies to multi-vector models; \(model.model) gives one vector per text"
            )
        }
        let texts = try input.all()
        let samples = try calibration.map(samples(ofFile:))
        let encoder = try TextEmbeddingPipeline(
            folder: folder,
            poolings: pooling?.elements,
            options: compute.prepare()
        )
        encoder.notices.forEach(Diagnostics.note)
        let ranges = try samples.map { try EmbeddingRanges(calibratedBy: encode($0, with: encoder)) }
        let embeddings = try encode(texts, with: encoder)
        truncation.report(embeddings.isTruncated)
        let results = try stored(embeddings, ranges)
        guard let output, let format = EmbeddingFileFormat(path: output) else {
            return try StandardOutput.write { output in
                for index in 0..<results.count { try output.line(utf8: results.jsonLine(index)) }
            }
        }
        try results.write(to: output, format: format)
        let type = precision == .float32 ? "" : " in \(precision.rawValue)"
        Diagnostics.note(
            "wrote \(results.count) embeddings with \(embeddings.dimensions) dimensions\(type) to \(output)"
        )
        if json.isOn {
            var summary: JSONObject = [
                "output": .string(output),
                "count": JSONValue(embeddings.count),
                "dimensions": JSONValue(embeddings.dimensions),
                "truncated": .array(embeddings.isTruncated.map(JSONValue.bool)),
            ]
            if precision != .float32 { summary["precision"] = .string(precision.rawValue) }
            try StandardOutput.write(document: .object(summary))
        }
    }

    private func encode(_ texts: [String], with encoder: TextEmbeddingPipeline) throws -> TextEmbeddings {
        try encoder.encode(
            texts,
            prompt: prompt.map { .text($0) } ?? promptName.map { .named($0) } ?? .default,
            task: task,
            normalize: normalize,
            truncateDimension: truncateDim,
            overlong: truncation.rule(truncatesLeft: encoder.truncatesLeft(task)),
            maxBatchTokens: batches.maxBatchTokens
        )
    }

    /// The embeddings in the number type that was asked for.
    private func stored(_ embeddings: TextEmbeddings, _ ranges: EmbeddingRanges?) throws -> any StoredEmbeddings {
        guard precision != .float32 else { return embeddings }
        if precision.needsRanges, ranges == nil, embeddings.count > 1 {
            Diagnostics.note(
                "note: the ranges of \(precision.rawValue) are those of the \(embeddings.count) embeddings themselves; "
                    + "--calibration takes those of other texts"
            )
        }
        return try embeddings.quantized(to: precision, ranges: ranges)
    }

    private func samples(ofFile path: String) throws -> [String] {
        var reader = try TextReader(path)
        let texts = try reader.rest()
        if texts.isEmpty { throw TokenizerError.file(path: path, reason: "has no text for --calibration") }
        return texts
    }
}
