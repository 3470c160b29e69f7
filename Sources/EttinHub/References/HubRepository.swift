/// The repository types of the Hub.
public enum RepositoryKind: String, Sendable, Hashable, CaseIterable {
    /// A model.
    case model
    /// A dataset.
    case dataset
    /// A Space.
    case space

    /// The part of the API's addresses and of cache folder names: `models`, `datasets` or `spaces`.
    var plural: String { rawValue + "s" }

    /// What stands before the name in file addresses; models have nothing there.
    var addressPrefix: String { self == .model ? "" : plural + "/" }
}

/// A repository on the Hub, for example the model `jhu-clsp/ettin-encoder-17m`.
public struct HubRepository: Sendable, Hashable, CustomStringConvertible {
    /// The repository type.
    public let kind: RepositoryKind
    /// The repository id, `owner/name`; some old repositories only have a name.
    public let id: String

    /// Creates a repository reference after checking its name.
    ///
    /// - Parameters:
    ///   - id: `owner/name`, or only a name.
    ///   - kind: The repository type.
    /// - Throws: `HubError.invalidReference` if the name is not valid on the Hub.
    public init(_ id: String, kind: RepositoryKind = .model) throws {
        let parts = id.split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count <= 2 else {
            throw HubError.invalidReference(id, reason: "names on the Hub have the form owner/name")
        }
        for part in parts {
            if let reason = Self.reasonAgainst(part) { throw HubError.invalidReference(id, reason: reason) }
        }
        self.kind = kind
        self.id = id
    }

    /// The owner, if the id has one.
    public var owner: String? {
        let parts = id.split(separator: "/")
        return parts.count == 2 ? String(parts[0]) : nil
    }

    /// The name without the owner.
    public var name: String {
        id.split(separator: "/").last.map(String.init) ?? id
    }

    /// The type and id, as shown in messages.
    public var description: String { "\(kind.rawValue) \(id)" }

    /// The name of its folder in the cache: `models--owner--name`.
    var cacheFolderName: String {
        ([kind.plural] + id.split(separator: "/").map(String.init)).joined(separator: "--")
    }

    /// Reverses `cacheFolderName`; nil for a folder that is not a repository's.
    init?(cacheFolderName: String) {
        // No part of a name contains two hyphens in a row, so that the separator is unambiguous.
        let parts = cacheFolderName.split(separator: "--", omittingEmptySubsequences: false)
        guard let kind = RepositoryKind.allCases.first(where: { $0.plural == parts[0] }), parts.count >= 2,
            let repository = try? HubRepository(parts.dropFirst().joined(separator: "/"), kind: kind)
        else { return nil }
        self = repository
    }

    private static func reasonAgainst(_ part: Substring) -> String? {
        if part.isEmpty { return "owner and name must not be empty" }
        if part.utf8.count > 96 { return "owner and name have at most 96 characters" }
        let isAllowed = part.utf8.allSatisfy { byte in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "_"), UInt8(ascii: "."):
                true
            default: false
            }
        }
        if !isAllowed { return "owner and name may only contain letters, digits, '-', '_' and '.'" }
        if part.hasPrefix("-") || part.hasPrefix(".") || part.hasSuffix("-") || part.hasSuffix(".") {
            return "owner and name must not start or end with '-' or '.'"
        }
        if part.contains("--") || part.contains("..") { return "'--' and '..' are not allowed in names" }
        return part.hasSuffix(".git") ? "names must not end in .git" : nil
    }
}
