/// The path of a file in a repository, known to stay inside it wherever it is put.
struct RepositoryPath: Hashable, Sendable {
    let text: String

    /// Refuses absolute paths, climbing, drive letters and control characters: servers are not trusted to send none.
    ///
    /// Windows spellings are refused everywhere, because a cache filled here may be read there.
    init(_ text: String, in repository: HubRepository) throws {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        let isSafe =
            !text.isEmpty && parts.allSatisfy { !$0.isEmpty && $0 != "." && $0 != ".." }
            && text.utf8.allSatisfy {
                $0 >= 0x20 && $0 != 0x7F && $0 != UInt8(ascii: "\\") && $0 != UInt8(ascii: ":")
            }
            && text.utf8.count <= 1024 && parts.allSatisfy { $0.utf8.count <= 255 }
        guard isSafe else { throw HubError.unsafePath(text, repository) }
        self.text = text
    }

    /// How many folders it is deep.
    var depth: Int { text.utf8.reduce(0) { $0 + ($1 == UInt8(ascii: "/") ? 1 : 0) } }
}
