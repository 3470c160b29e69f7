import ArgumentParser
import EttinFiles
import EttinInference
import EttinJSON
import EttinModel

/// The command `ettin embed`.
struct Embed: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Compute embeddings of texts.",
        discussion: """
            Prints one JSON object per text, in input order: "embedding" and
            "truncated". With --output, writes a file instead: .jsonl, .npy (float32)
            or .safetensors (float32 "embeddings"). A partial file is never left
            behind. --json then prints a summary.

            A multi-vector (ColBERT) model gives a matrix per text, a row per token;
            --output to .safetensors then holds "embeddings" [rows, width] and
            "lengths" [texts].

            Pooling, normalization and prompts come from the folder's
            sentence-transformers modules. Without modules, encoders use mean pooling
            and decoders last-token pooling.

            Examples:

              ettin embed encoder "A cat sits." "A feline rests."
              ettin embed encoder --input texts.txt --output vectors.npy
              ettin embed encoder --input texts.jsonl --normalize \\
                --prompt "query: " --truncate -o vectors.safetensors
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

    @Option(help: "Pooling mode (default: the model's).")
    var pooling: Pooling?

    @Flag(help: "L2-normalize the embeddings.")
    var normalize = false

    @Option(help: ArgumentHelp("Prompt to prepend to each text.", valueName: "text"))
    var prompt: String?

    @Option(help: ArgumentHelp("Name of one of the model's prompts to prepend to each text.", valueName: "name"))
    var promptName: String?

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp("Number of leading dimensions to keep.", valueName: "count")
    )
    var truncateDim: Int?

    @Option(help: "What the texts are to a search, for a multi-vector model (default: document).")
    var task: TextRole?

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp(
            "Keep about one vector in this many per document of a multi-vector model.",
            valueName: "factor"
        )
    )
    var poolFactor: Double?

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
        for (name, isGiven) in [("task", task != nil), ("pool-factor", poolFactor != nil)] where isGiven {
            throw ValidationError("--\(name) applies to multi-vector models; \(model.model) gives one vector per text")
        }
        let texts = try input.all()
        let encoder = try TextEmbeddingPipeline(folder: folder, pooling: pooling, options: compute.prepare())
        encoder.notices.forEach(Diagnostics.note)
        let embeddings = try encoder.encode(
            texts,
            prompt: prompt.map { .text($0) } ?? promptName.map { .named($0) } ?? .default,
            normalize: normalize,
            truncateDimension: truncateDim,
            overlong: truncation.rule(for: encoder.tokenizer),
            maxBatchTokens: batches.maxBatchTokens
        )
        truncation.report(embeddings.isTruncated)
        guard let output, let format = EmbeddingFileFormat(path: output) else {
            return try StandardOutput.write { output in
                for index in 0..<embeddings.count { try output.line(utf8: embeddings.jsonLine(index)) }
            }
        }
        try embeddings.write(to: output, format: format)
        Diagnostics.note("wrote \(embeddings.count) embeddings with \(embeddings.dimensions) dimensions to \(output)")
        if json.isOn {
            try StandardOutput.write(document: [
                "output": .string(output),
                "count": JSONValue(embeddings.count),
                "dimensions": JSONValue(embeddings.dimensions),
                "truncated": .array(embeddings.isTruncated.map(JSONValue.bool)),
            ])
        }
    }
}
