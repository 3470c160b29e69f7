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
    ///   - progress: Told how far a download is, from any thread.
    /// - Throws: `HubError` when the model cannot be had; else as `init(folder:pooling:options:maxBatchTokens:)`.
    public init(
        _ model: String,
        revision: String? = nil,
        pooling: Pooling? = nil,
        options: ComputeOptions = ComputeOptions(),
        progress: (@Sendable (DownloadProgress) -> Void)? = nil
    ) async throws {
        let folder = try await ModelDownload.folder(model, revision: revision, progress: progress)
        try await self.init(folder: folder, pooling: pooling, options: options)
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
    ///   - progress: Told how far a download is, from any thread.
    /// - Throws: `HubError` when the model cannot be had; else as
    ///   `init(folder:options:usesGenerationConfiguration:maxSequences:)`.
    public init(
        _ model: String,
        revision: String? = nil,
        options: ComputeOptions = ComputeOptions(),
        progress: (@Sendable (DownloadProgress) -> Void)? = nil
    ) async throws {
        let folder = try await ModelDownload.folder(model, revision: revision, progress: progress)
        try await self.init(folder: folder, options: options)
    }
}

extension FillMask {
    /// Loads an encoder by name, and downloads it first where it is not in the cache.
    ///
    /// - Parameters:
    ///   - model: A folder, `owner/name` or `owner/name@revision` on the Hub, or a short name of the suite.
    ///   - revision: A branch, tag or commit of the repository.
    ///   - options: Where and in which precision to compute.
    ///   - progress: Told how far a download is, from any thread.
    /// - Throws: `HubError` when the model cannot be had; else as `init(folder:options:maxBatchTokens:)`.
    public init(
        _ model: String,
        revision: String? = nil,
        options: ComputeOptions = ComputeOptions(),
        progress: (@Sendable (DownloadProgress) -> Void)? = nil
    ) async throws {
        let folder = try await ModelDownload.folder(model, revision: revision, progress: progress)
        try await self.init(folder: folder, options: options)
    }
}

extension TextClassifier {
    /// Loads a classifier of texts by name, and downloads it first where it is not in the cache.
    ///
    /// - Parameters:
    ///   - model: A folder, `owner/name` or `owner/name@revision` on the Hub, or a short name of the suite.
    ///   - revision: A branch, tag or commit of the repository.
    ///   - options: Where and in which precision to compute.
    ///   - progress: Told how far a download is, from any thread.
    /// - Throws: `HubError` when the model cannot be had; else as `init(folder:options:maxBatchTokens:)`.
    public init(
        _ model: String,
        revision: String? = nil,
        options: ComputeOptions = ComputeOptions(),
        progress: (@Sendable (DownloadProgress) -> Void)? = nil
    ) async throws {
        let folder = try await ModelDownload.folder(model, revision: revision, progress: progress)
        try await self.init(folder: folder, options: options)
    }
}

extension TokenClassifier {
    /// Loads a token classifier by name, and downloads it first where it is not in the cache.
    ///
    /// - Parameters:
    ///   - model: A folder, `owner/name` or `owner/name@revision` on the Hub, or a short name of the suite.
    ///   - revision: A branch, tag or commit of the repository.
    ///   - options: Where and in which precision to compute.
    ///   - progress: Told how far a download is, from any thread.
    /// - Throws: `HubError` when the model cannot be had; else as `init(folder:options:maxBatchTokens:)`.
    public init(
        _ model: String,
        revision: String? = nil,
        options: ComputeOptions = ComputeOptions(),
        progress: (@Sendable (DownloadProgress) -> Void)? = nil
    ) async throws {
        let folder = try await ModelDownload.folder(model, revision: revision, progress: progress)
        try await self.init(folder: folder, options: options)
    }
}

extension QuestionAnswerer {
    /// Loads a question-answering model by name, and downloads it first where it is not in the cache.
    ///
    /// - Parameters:
    ///   - model: A folder, `owner/name` or `owner/name@revision` on the Hub, or a short name of the suite.
    ///   - revision: A branch, tag or commit of the repository.
    ///   - options: Where and in which precision to compute.
    ///   - progress: Told how far a download is, from any thread.
    /// - Throws: `HubError` when the model cannot be had; else as `init(folder:options:maxBatchTokens:)`.
    public init(
        _ model: String,
        revision: String? = nil,
        options: ComputeOptions = ComputeOptions(),
        progress: (@Sendable (DownloadProgress) -> Void)? = nil
    ) async throws {
        let folder = try await ModelDownload.folder(model, revision: revision, progress: progress)
        try await self.init(folder: folder, options: options)
    }
}

extension MultipleChoice {
    /// Loads a multiple-choice model by name, and downloads it first where it is not in the cache.
    ///
    /// - Parameters:
    ///   - model: A folder, `owner/name` or `owner/name@revision` on the Hub, or a short name of the suite.
    ///   - revision: A branch, tag or commit of the repository.
    ///   - options: Where and in which precision to compute.
    ///   - progress: Told how far a download is, from any thread.
    /// - Throws: `HubError` when the model cannot be had; else as `init(folder:options:maxBatchTokens:)`.
    public init(
        _ model: String,
        revision: String? = nil,
        options: ComputeOptions = ComputeOptions(),
        progress: (@Sendable (DownloadProgress) -> Void)? = nil
    ) async throws {
        let folder = try await ModelDownload.folder(model, revision: revision, progress: progress)
        try await self.init(folder: folder, options: options)
    }
}

extension Reranker {
    /// Loads a reranker by name, and downloads it first where it is not in the cache.
    ///
    /// - Parameters:
    ///   - model: A folder, `owner/name` or `owner/name@revision` on the Hub, or a short name of the suite.
    ///   - revision: A branch, tag or commit of the repository.
    ///   - options: Where and in which precision to compute.
    ///   - progress: Told how far a download is, from any thread.
    /// - Throws: `HubError` when the model cannot be had; else as `init(folder:options:maxBatchTokens:)`.
    public init(
        _ model: String,
        revision: String? = nil,
        options: ComputeOptions = ComputeOptions(),
        progress: (@Sendable (DownloadProgress) -> Void)? = nil
    ) async throws {
        let folder = try await ModelDownload.folder(model, revision: revision, progress: progress)
        try await self.init(folder: folder, options: options)
    }
}
