public import EttinHub
public import EttinInference
public import EttinModel
import Foundation

// Every kind of model from a name: a folder, or a repository on the Hub, which is downloaded into the cache that
// huggingface_hub uses too.

extension TextEncoder {
    /// Loads a model by name, and downloads it first where it is not in the cache.
    ///
    /// - Parameters:
    ///   - model: A folder, `owner/name` or `owner/name@revision` on the Hub, or a short name such as
    ///     `ettin-encoder-17m`.
    ///   - revision: A branch, tag or commit of the repository.
    ///   - pooling: How hidden states become vectors; nil for what the model says.
    ///   - options: Where and in which precision to compute.
    ///   - maxBatchTokens: Maximum number of tokens per batch.
    ///   - progress: Told how far a download is, from any thread, in order; it must not wait.
    ///   - onEvent: Told all that the Hub's client tells: bytes and files that have come, retries, a cached copy in place of
    ///     a Hub that cannot be reached.
    /// - Throws: `HubError` when the model cannot be had; else as `init(folder:pooling:options:maxBatchTokens:)`.
    public init(
        _ model: String,
        revision: String? = nil,
        pooling: Pooling? = nil,
        options: ComputeOptions = ComputeOptions(),
        maxBatchTokens: Int = defaultMaxBatchTokens,
        progress: (@Sendable (DownloadProgress) -> Void)? = nil,
        onEvent: (@Sendable (HubEvent) -> Void)? = nil
    ) async throws {
        let folder = try await ModelDownload.folder(model, revision: revision, progress: progress, onEvent: onEvent)
        try await self.init(folder: folder, pooling: pooling, options: options, maxBatchTokens: maxBatchTokens)
    }
}

extension TextGenerator {
    /// Loads a decoder by name, and downloads it first where it is not in the cache.
    ///
    /// - Parameters:
    ///   - model: A folder, `owner/name` or `owner/name@revision` on the Hub, or a short name such as
    ///     `ettin-decoder-150m`.
    ///   - revision: A branch, tag or commit of the repository.
    ///   - options: Where and in which precision to compute.
    ///   - usesGenerationConfiguration: Whether `defaultOptions` and the end tokens are those of
    ///     `generation_config.json`.
    ///   - maxSequences: Maximum number of prompts that are continued at once, of all tasks together.
    ///   - progress: Told how far a download is, from any thread, in order; it must not wait.
    ///   - onEvent: Told all that the Hub's client tells: bytes and files that have come, retries, a cached copy in place of
    ///     a Hub that cannot be reached.
    /// - Throws: `HubError` when the model cannot be had; else as
    ///   `init(folder:options:usesGenerationConfiguration:maxSequences:)`.
    public init(
        _ model: String,
        revision: String? = nil,
        options: ComputeOptions = ComputeOptions(),
        usesGenerationConfiguration: Bool = true,
        maxSequences: Int = 32,
        progress: (@Sendable (DownloadProgress) -> Void)? = nil,
        onEvent: (@Sendable (HubEvent) -> Void)? = nil
    ) async throws {
        let folder = try await ModelDownload.folder(model, revision: revision, progress: progress, onEvent: onEvent)
        try await self.init(
            folder: folder,
            options: options,
            usesGenerationConfiguration: usesGenerationConfiguration,
            maxSequences: maxSequences
        )
    }
}

extension FillMask {
    /// Loads an encoder by name, and downloads it first where it is not in the cache.
    ///
    /// - Parameters:
    ///   - model: A folder, `owner/name` or `owner/name@revision` on the Hub, or a short name of the suite.
    ///   - revision: A branch, tag or commit of the repository.
    ///   - options: Where and in which precision to compute.
    ///   - maxBatchTokens: Maximum number of tokens per batch.
    ///   - progress: Told how far a download is, from any thread, in order; it must not wait.
    ///   - onEvent: Told all that the Hub's client tells: bytes and files that have come, retries, a cached copy in place of
    ///     a Hub that cannot be reached.
    /// - Throws: `HubError` when the model cannot be had; else as `init(folder:options:maxBatchTokens:)`.
    public init(
        _ model: String,
        revision: String? = nil,
        options: ComputeOptions = ComputeOptions(),
        maxBatchTokens: Int = defaultMaxBatchTokens,
        progress: (@Sendable (DownloadProgress) -> Void)? = nil,
        onEvent: (@Sendable (HubEvent) -> Void)? = nil
    ) async throws {
        let folder = try await ModelDownload.folder(model, revision: revision, progress: progress, onEvent: onEvent)
        try await self.init(folder: folder, options: options, maxBatchTokens: maxBatchTokens)
    }
}

extension TextClassifier {
    /// Loads a classifier of texts by name, and downloads it first where it is not in the cache.
    ///
    /// - Parameters:
    ///   - model: A folder, `owner/name` or `owner/name@revision` on the Hub, or a short name of the suite.
    ///   - revision: A branch, tag or commit of the repository.
    ///   - options: Where and in which precision to compute.
    ///   - maxBatchTokens: Maximum number of tokens per batch.
    ///   - progress: Told how far a download is, from any thread, in order; it must not wait.
    ///   - onEvent: Told all that the Hub's client tells: bytes and files that have come, retries, a cached copy in place of
    ///     a Hub that cannot be reached.
    /// - Throws: `HubError` when the model cannot be had; else as `init(folder:options:maxBatchTokens:)`.
    public init(
        _ model: String,
        revision: String? = nil,
        options: ComputeOptions = ComputeOptions(),
        maxBatchTokens: Int = defaultMaxBatchTokens,
        progress: (@Sendable (DownloadProgress) -> Void)? = nil,
        onEvent: (@Sendable (HubEvent) -> Void)? = nil
    ) async throws {
        let folder = try await ModelDownload.folder(model, revision: revision, progress: progress, onEvent: onEvent)
        try await self.init(folder: folder, options: options, maxBatchTokens: maxBatchTokens)
    }
}

extension TokenClassifier {
    /// Loads a token classifier by name, and downloads it first where it is not in the cache.
    ///
    /// - Parameters:
    ///   - model: A folder, `owner/name` or `owner/name@revision` on the Hub, or a short name of the suite.
    ///   - revision: A branch, tag or commit of the repository.
    ///   - options: Where and in which precision to compute.
    ///   - maxBatchTokens: Maximum number of tokens per batch.
    ///   - progress: Told how far a download is, from any thread, in order; it must not wait.
    ///   - onEvent: Told all that the Hub's client tells: bytes and files that have come, retries, a cached copy in place of
    ///     a Hub that cannot be reached.
    /// - Throws: `HubError` when the model cannot be had; else as `init(folder:options:maxBatchTokens:)`.
    public init(
        _ model: String,
        revision: String? = nil,
        options: ComputeOptions = ComputeOptions(),
        maxBatchTokens: Int = defaultMaxBatchTokens,
        progress: (@Sendable (DownloadProgress) -> Void)? = nil,
        onEvent: (@Sendable (HubEvent) -> Void)? = nil
    ) async throws {
        let folder = try await ModelDownload.folder(model, revision: revision, progress: progress, onEvent: onEvent)
        try await self.init(folder: folder, options: options, maxBatchTokens: maxBatchTokens)
    }
}

extension QuestionAnswerer {
    /// Loads a question-answering model by name, and downloads it first where it is not in the cache.
    ///
    /// - Parameters:
    ///   - model: A folder, `owner/name` or `owner/name@revision` on the Hub, or a short name of the suite.
    ///   - revision: A branch, tag or commit of the repository.
    ///   - options: Where and in which precision to compute.
    ///   - maxBatchTokens: Maximum number of tokens per batch.
    ///   - progress: Told how far a download is, from any thread, in order; it must not wait.
    ///   - onEvent: Told all that the Hub's client tells: bytes and files that have come, retries, a cached copy in place of
    ///     a Hub that cannot be reached.
    /// - Throws: `HubError` when the model cannot be had; else as `init(folder:options:maxBatchTokens:)`.
    public init(
        _ model: String,
        revision: String? = nil,
        options: ComputeOptions = ComputeOptions(),
        maxBatchTokens: Int = defaultMaxBatchTokens,
        progress: (@Sendable (DownloadProgress) -> Void)? = nil,
        onEvent: (@Sendable (HubEvent) -> Void)? = nil
    ) async throws {
        let folder = try await ModelDownload.folder(model, revision: revision, progress: progress, onEvent: onEvent)
        try await self.init(folder: folder, options: options, maxBatchTokens: maxBatchTokens)
    }
}

extension MultipleChoice {
    /// Loads a multiple-choice model by name, and downloads it first where it is not in the cache.
    ///
    /// - Parameters:
    ///   - model: A folder, `owner/name` or `owner/name@revision` on the Hub, or a short name of the suite.
    ///   - revision: A branch, tag or commit of the repository.
    ///   - options: Where and in which precision to compute.
    ///   - maxBatchTokens: Maximum number of tokens per batch.
    ///   - progress: Told how far a download is, from any thread, in order; it must not wait.
    ///   - onEvent: Told all that the Hub's client tells: bytes and files that have come, retries, a cached copy in place of
    ///     a Hub that cannot be reached.
    /// - Throws: `HubError` when the model cannot be had; else as `init(folder:options:maxBatchTokens:)`.
    public init(
        _ model: String,
        revision: String? = nil,
        options: ComputeOptions = ComputeOptions(),
        maxBatchTokens: Int = defaultMaxBatchTokens,
        progress: (@Sendable (DownloadProgress) -> Void)? = nil,
        onEvent: (@Sendable (HubEvent) -> Void)? = nil
    ) async throws {
        let folder = try await ModelDownload.folder(model, revision: revision, progress: progress, onEvent: onEvent)
        try await self.init(folder: folder, options: options, maxBatchTokens: maxBatchTokens)
    }
}

extension Reranker {
    /// Loads a reranker by name, and downloads it first where it is not in the cache.
    ///
    /// - Parameters:
    ///   - model: A folder, `owner/name` or `owner/name@revision` on the Hub, or a short name of the suite.
    ///   - revision: A branch, tag or commit of the repository.
    ///   - options: Where and in which precision to compute.
    ///   - maxBatchTokens: Maximum number of tokens per batch.
    ///   - progress: Told how far a download is, from any thread, in order; it must not wait.
    ///   - onEvent: Told all that the Hub's client tells: bytes and files that have come, retries, a cached copy in place of
    ///     a Hub that cannot be reached.
    /// - Throws: `HubError` when the model cannot be had; else as `init(folder:options:maxBatchTokens:)`.
    public init(
        _ model: String,
        revision: String? = nil,
        options: ComputeOptions = ComputeOptions(),
        maxBatchTokens: Int = defaultMaxBatchTokens,
        progress: (@Sendable (DownloadProgress) -> Void)? = nil,
        onEvent: (@Sendable (HubEvent) -> Void)? = nil
    ) async throws {
        let folder = try await ModelDownload.folder(model, revision: revision, progress: progress, onEvent: onEvent)
        try await self.init(folder: folder, options: options, maxBatchTokens: maxBatchTokens)
    }
}

extension LateInteractionEncoder {
    /// Loads a multi-vector model by name, and downloads it first where it is not in the cache.
    ///
    /// - Parameters:
    ///   - model: A folder, `owner/name` or `owner/name@revision` on the Hub, or a short name of the suite.
    ///   - revision: A branch, tag or commit of the repository.
    ///   - options: Where and in which precision to compute.
    ///   - maxBatchTokens: Maximum number of tokens per batch.
    ///   - progress: Told how far a download is, from any thread, in order; it must not wait.
    ///   - onEvent: Told all that the Hub's client tells: bytes and files that have come, retries, a cached copy in place of
    ///     a Hub that cannot be reached.
    /// - Throws: `HubError` when the model cannot be had; else as `init(folder:options:maxBatchTokens:)`.
    public init(
        _ model: String,
        revision: String? = nil,
        options: ComputeOptions = ComputeOptions(),
        maxBatchTokens: Int = defaultMaxBatchTokens,
        progress: (@Sendable (DownloadProgress) -> Void)? = nil,
        onEvent: (@Sendable (HubEvent) -> Void)? = nil
    ) async throws {
        let folder = try await ModelDownload.folder(model, revision: revision, progress: progress, onEvent: onEvent)
        try await self.init(folder: folder, options: options, maxBatchTokens: maxBatchTokens)
    }
}

extension SparseEncoder {
    /// Loads a sparse model by name, and downloads it first where it is not in the cache.
    ///
    /// - Parameters:
    ///   - model: A folder, `owner/name` or `owner/name@revision` on the Hub, or a short name of the suite.
    ///   - revision: A branch, tag or commit of the repository.
    ///   - options: Where and in which precision to compute.
    ///   - maxBatchTokens: Maximum number of tokens per batch.
    ///   - progress: Told how far a download is, from any thread, in order; it must not wait.
    ///   - onEvent: Told all that the Hub's client tells: bytes and files that have come, retries, a cached copy in place of
    ///     a Hub that cannot be reached.
    /// - Throws: `HubError` when the model cannot be had; else as `init(folder:options:maxBatchTokens:)`.
    public init(
        _ model: String,
        revision: String? = nil,
        options: ComputeOptions = ComputeOptions(),
        maxBatchTokens: Int = defaultMaxBatchTokens,
        progress: (@Sendable (DownloadProgress) -> Void)? = nil,
        onEvent: (@Sendable (HubEvent) -> Void)? = nil
    ) async throws {
        let folder = try await ModelDownload.folder(model, revision: revision, progress: progress, onEvent: onEvent)
        try await self.init(folder: folder, options: options, maxBatchTokens: maxBatchTokens)
    }
}
