/// Progress and notices of a client; none of them is an error.
public enum HubEvent: Sendable, Hashable {
    /// Part of a file was downloaded or uploaded; `totalBytes` is nil if the server does not tell.
    case progress(path: String, completedBytes: Int, totalBytes: Int?)
    /// A file is complete.
    case finished(path: String)
    /// Another process is downloading the same file; waiting for it.
    case waiting(path: String)
    /// A request failed and is retried after a delay.
    case retrying(action: String, reason: String, delay: Duration)
    /// The Hub cannot be reached, so the cached copy is used.
    case usingCache(what: String, reason: String)
    /// The Hub accepted something with a warning.
    case warning(String)
}
