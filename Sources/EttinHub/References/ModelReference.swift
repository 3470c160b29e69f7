import EttinFiles

/// A model: a local folder or a repository on the Hub.
public enum ModelReference: Sendable, Hashable {
    /// A folder with a checkpoint.
    case folder(String)
    /// A repository at a revision.
    case hub(HubReference)

    /// Parses a model argument.
    ///
    /// An existing path takes precedence over a repository of the same name, and text that can only be a path (starting
    /// with `/`, `./`, `../` or `~`) is never looked up on the Hub. Short names of a suite are resolved by the caller.
    ///
    /// - Parameters:
    ///   - text: A path, `owner/name` or `owner/name@revision`.
    ///   - revision: A separately given revision; folders have none.
    /// - Throws: `HubError.invalidReference`.
    public init(_ text: String, revision: String? = nil) throws {
        let isPath = ["/", "./", "../", "~"].contains { text.hasPrefix($0) } || text == "." || text == ".."
        guard isPath || FilePath.kind(of: text) != .absent else {
            do {
                let reference = try HubReference(text, revision: revision)
                guard reference.repository.owner != nil else {
                    throw HubError.invalidReference(text, reason: "models on the Hub are named owner/name")
                }
                self = .hub(reference)
            } catch HubError.invalidReference(let part, let reason) where part != revision {
                throw HubError.invalidReference(part, reason: "there is no such folder, and \(reason)")
            }
            return
        }
        guard revision == nil else {
            throw HubError.invalidReference(
                text,
                reason: "it is a local folder, which has no revisions; remove --revision"
            )
        }
        self = .folder(text)
    }

    /// Parses a model argument that may be a short name; an existing folder comes before it.
    ///
    /// - Parameters:
    ///   - text: A path, a short name or `owner/name`, the last two with `@revision` or without.
    ///   - revision: A separately given revision; folders have none.
    ///   - repository: Gives the repository that a short name stands for; nil when it is none.
    /// - Throws: `HubError.invalidReference`.
    package init(_ text: String, revision: String?, repository: (_ shortName: String) -> String?) throws {
        let parts = text.split(separator: "@", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
        guard !FilePath.exists(text), let name = parts.first, let repository = repository(name) else {
            try self.init(text, revision: revision)
            return
        }
        try self.init(([repository] + parts.dropFirst()).joined(separator: "@"), revision: revision)
    }
}
