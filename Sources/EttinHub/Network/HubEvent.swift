/// What a client tells while it works; none of it is an error.
public enum HubEvent: Sendable, Hashable {
    /// Bytes of a file have arrived or left; `totalBytes` is nil where the server does not say.
    case progress(path: String, completedBytes: Int, totalBytes: Int?)
    /// A file is complete and in its place.
    case finished(path: String)
    /// Another process downloads the same file; it is waited for.
    case waiting(path: String)
    /// A request failed and is sent again after a wait.
    case retrying(action: String, reason: String, delay: Duration)
    /// The Hub cannot be asked, so what the cache holds is used.
    case usingCache(what: String, reason: String)
    /// The Hub finds fault with something that it takes all the same.
    case warning(String)
}
