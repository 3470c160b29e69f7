import ArgumentParser
import EttinInference
import EttinJSON

/// The command `ettin sparse`.
struct Sparse: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Compute sparse (SPLADE) embeddings of texts.",
        discussion: """
            Prints one JSON object per text, in input order: "indices", "values" and
            "tokens", largest values first, and "truncated". The average number of
            active dimensions goes to standard error.

            The model is a SparseEncoder folder of sentence-transformers, or a masked
            language model, which is pooled as sentence-transformers would (maximum).

            Examples:

              ettin sparse splade "what is the capital of france" --task query
              ettin sparse splade --input documents.txt --task document \\
                --max-active-dims 256
            """
    )

    @OptionGroup var model: ModelArgument
    @OptionGroup var input: InputOptions

    @Option(help: "What the texts are to a search: chooses the prompt and the route (default: neither).")
    var task: TextRole?

    @Option(help: ArgumentHelp("Prompt to prepend to each text.", valueName: "text"))
    var prompt: String?

    @Option(help: ArgumentHelp("Name of one of the model's prompts to prepend to each text.", valueName: "name"))
    var promptName: String?

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp("Maximum number of non-zero values per text (default: the model's).", valueName: "count")
    )
    var maxActiveDims: Int?

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp("Print only the largest values of each text (default: all).", valueName: "count")
    )
    var topK: Int?

    @OptionGroup var truncation: TruncationOptions
    @OptionGroup var batches: BatchOptions
    @OptionGroup var compute: ModelOptions

    func validate() throws {
        if prompt != nil, promptName != nil { throw ValidationError("--prompt and --prompt-name cannot be combined") }
        for (name, value) in [("max-active-dims", maxActiveDims), ("top-k", topK)] {
            if let value, value < 1 { throw ValidationError("--\(name) is \(value); expected 1 or more") }
        }
    }

    func run() throws {
        let folder = try model.folder()
        let texts = try input.all()
        let encoder = try SparseEmbeddingPipeline(folder: folder, options: compute.prepare())
        encoder.notices.forEach(Diagnostics.note)
        let embeddings = try encoder.encode(
            texts,
            as: task,
            prompt: prompt.map { .text($0) } ?? promptName.map { .named($0) } ?? .default,
            maxActiveDimensions: maxActiveDims,
            overlong: truncation.rule(for: encoder.tokenizer),
            maxBatchTokens: batches.maxBatchTokens
        )
        truncation.report(embeddings.isTruncated)
        Diagnostics.note(
            "active dimensions: \(embeddings.activeDimensions.rounded(toPlaces: 1)) of \(embeddings.dimensions), "
                + "sparsity \(embeddings.sparsityRatio.rounded(toPlaces: 4))"
        )
        try StandardOutput.write { output in
            for index in 0..<embeddings.count {
                try output.line(utf8: encoder.jsonLine(embeddings, index, topK: topK))
            }
        }
    }
}
