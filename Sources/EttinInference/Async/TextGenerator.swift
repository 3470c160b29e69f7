public import EttinTokenizer
public import Foundation

/// Continues texts with a decoder, for any number of tasks at once.
///
/// ```swift
/// let generator = try await TextGenerator(folder: URL(filePath: "ettin-decoder-150m"))
/// for try await piece in generator.stream("Once upon a time") { print(piece, terminator: "") }
/// ```
///
/// All prompts are continued together, a token each at every step; new ones join between two steps, and those of a
/// cancelled task leave. ``TextGenerationPipeline`` does the same synchronously, for one request at a time.
public actor TextGenerator {
    /// The tokenizer.
    public nonisolated let tokenizer: Tokenizer
    /// What the model's `generation_config.json` says, with defaults for the rest.
    public nonisolated let defaultOptions: GenerationOptions
    /// Prepares prompts; the actor does that itself.
    public nonisolated let preparer: TextGenerationPipeline.Preparer
    /// What the folder's files say that has no effect, a sentence each.
    public nonisolated let notices: [String]

    private let thread: ModelThread
    private let pipeline: TextGenerationPipeline
    private let maxSequences: Int
    private var requests: [GenerationRequest] = []
    private var isRunning = false

    /// The thread that the model computes on.
    public nonisolated var unownedExecutor: UnownedSerialExecutor { thread.asUnownedSerialExecutor() }

    /// Loads a decoder.
    ///
    /// - Parameters:
    ///   - folder: A causal language model with its tokenizer.
    ///   - options: Where and in which precision to compute.
    ///   - usesGenerationConfiguration: Whether ``defaultOptions`` and the end tokens are those of
    ///     `generation_config.json`.
    ///   - maxSequences: Maximum number of prompts that are continued at once, of all tasks together.
    /// - Throws: As ``TextGenerationPipeline/init(folder:options:usesGenerationConfiguration:)``;
    ///   ``InferenceError/noThread(reason:)``.
    public init(
        folder: URL,
        options: ComputeOptions = ComputeOptions(),
        usesGenerationConfiguration: Bool = true,
        maxSequences: Int = 32
    ) async throws {
        try check("max-sequences", maxSequences, in: 1...Int.max)
        self.maxSequences = maxSequences
        let thread = try ModelThread()
        let path = folder.modelPath
        let pipeline = try await thread.run {
            try TextGenerationPipeline(
                folder: path,
                options: options,
                usesGenerationConfiguration: usesGenerationConfiguration
            )
        }
        self.thread = thread
        tokenizer = pipeline.tokenizer
        defaultOptions = pipeline.defaultOptions
        preparer = pipeline.preparer
        notices = pipeline.notices
        self.pipeline = pipeline
    }

    /// Continues a text, piece by piece.
    ///
    /// Leaving the loop ends generation before the next token.
    ///
    /// - Parameters:
    ///   - prompt: The text to continue.
    ///   - options: How tokens are chosen and when generation ends; nil for ``defaultOptions``.
    ///   - overlong: What to do when the prompt leaves no room for a token.
    /// - Returns: The pieces, which make up the continuation. They throw as
    ///   ``generate(_:options:overlong:onText:)`` does.
    public nonisolated func stream(
        _ prompt: String,
        options: GenerationOptions? = nil,
        overlong: OverlongTextRule = .refuse
    ) -> AsyncThrowingStream<String, any Error> {
        AsyncThrowingStream { pieces in
            let task = Task {
                do {
                    _ = try await generate([prompt], options: options, overlong: overlong) { pieces.yield($1) }
                    pieces.finish()
                } catch {
                    pieces.finish(throwing: error)
                }
            }
            pieces.onTermination = { _ in task.cancel() }
        }
    }

    /// Continues texts.
    ///
    /// Each continuation depends on its own prompt, its number and the options alone, not on what else is generated.
    ///
    /// - Parameters:
    ///   - prompts: The texts to continue.
    ///   - options: How tokens are chosen and when generation ends; nil for ``defaultOptions``.
    ///   - overlong: What to do with prompts that leave no room for a token.
    ///   - onText: Receives pieces of the continuations as they become certain, with the number of the prompt from 0; it
    ///     is called on the model's thread, which waits for it.
    /// - Returns: One continuation for each prompt, in order.
    /// - Throws: ``InferenceError`` for a prompt without tokens, one that is too long or an option out of range;
    ///   `TorchError` when memory or device fails; `CancellationError`.
    public nonisolated func generate(
        _ prompts: some Collection<String>,
        options: GenerationOptions? = nil,
        overlong: OverlongTextRule = .refuse,
        onText: (@Sendable (_ prompt: Int, _ piece: String) -> Void)? = nil
    ) async throws -> [TextGenerationPipeline.Result] {
        let options = options ?? defaultOptions
        try options.validate()
        let prepared = try preparedInParts(prompts) { try preparer.prepare($0, overlong: overlong) }
        try Task.checkCancellation()
        guard !prepared.isEmpty else { return [] }
        let outcome = BatchRequest<PreparedText, TextGenerationPipeline.Result>(prepared)
        return try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                guard outcome.wait(continuation) else { return }
                // Apart from this task, which so throws when it is cancelled, even while the model computes.
                Task { await self.enqueue(outcome, options, onText) }
            }
        } onCancel: {
            outcome.cancel()
        }
    }

    private func enqueue(
        _ outcome: BatchRequest<PreparedText, TextGenerationPipeline.Result>,
        _ options: GenerationOptions,
        _ onText: (@Sendable (Int, String) -> Void)?
    ) {
        do {
            try pipeline.checkOptions(options)
            let sequences = try outcome.items.enumerated().map { index, prompt in
                try pipeline.sequence(prompt, number: index, options: options)
            }
            requests.append(GenerationRequest(outcome: outcome, onText: onText, waiting: sequences[...]))
        } catch {
            outcome.fail(error)
        }
        guard !isRunning, !requests.isEmpty else { return }
        isRunning = true
        Task { await self.continueAll() }
    }

    private func continueAll() async {
        while !requests.isEmpty {
            do {
                try await continueAll(in: GenerationSession(pipeline))
            } catch {
                // Memory or device failed: nothing is left of what was being continued. What waits may have more luck.
                let isAnyRunning = requests.contains { !$0.running.isEmpty }
                for request in requests where !isAnyRunning || !request.running.isEmpty {
                    request.outcome.fail(error)
                }
                requests.removeAll(where: \.outcome.isOver)
            }
        }
        isRunning = false
    }

    private func continueAll(in session: GenerationSession) async throws {
        while !requests.isEmpty {
            try requests.removeAll { request in
                guard request.outcome.isOver else { return false }
                try session.leave { sequence in request.running.contains { $0 === sequence } }
                return true
            }
            joinNext(session)
            guard !session.isEmpty else { continue }
            try session.step { [requests] sequence, piece in
                requests.first { $0.running.contains { $0 === sequence } }?.onText?(sequence.number, piece)
            }
            for request in requests { request.collect() }
            // Lets in what has come meanwhile.
            await Task.yield()
        }
    }

    /// Adds prompts to the next step: at least one where there is room, and no more tokens than any batch has.
    private func joinNext(_ session: GenerationSession) {
        var tokenCount = 0
        while session.count < maxSequences, let request = nextToJoin, let next = request.waiting.first {
            tokenCount += next.prompt.tokenCount
            guard tokenCount == next.prompt.tokenCount || tokenCount <= defaultMaxBatchTokens,
                let sequence = request.join()
            else { return }
            session.join(sequence)
        }
    }

    /// The request with the fewest sequences under way, the oldest of several.
    private var nextToJoin: GenerationRequest? {
        requests.filter { !$0.waiting.isEmpty }.min { $0.running.count < $1.running.count }
    }
}

/// What one task wants continued.
private final class GenerationRequest {
    let outcome: BatchRequest<PreparedText, TextGenerationPipeline.Result>
    let onText: (@Sendable (Int, String) -> Void)?
    private(set) var waiting: ArraySlice<GeneratedSequence>
    private(set) var running: [GeneratedSequence] = []

    init(
        outcome: BatchRequest<PreparedText, TextGenerationPipeline.Result>,
        onText: (@Sendable (Int, String) -> Void)?,
        waiting: ArraySlice<GeneratedSequence>
    ) {
        self.outcome = outcome
        self.onText = onText
        self.waiting = waiting
    }

    /// Takes the next sequence under way.
    func join() -> GeneratedSequence? {
        guard let sequence = waiting.popFirst() else { return nil }
        running.append(sequence)
        return sequence
    }

    /// Gives the results of the sequences that have ended.
    func collect() {
        if let failure = running.lazy.compactMap(\.failure).first { return outcome.fail(failure) }
        outcome.take(running.filter(\.isFinished).map { ($0.number, $0.result) })
        running.removeAll(where: \.isFinished)
    }
}
