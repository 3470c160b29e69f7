import EttinJSON

/// A branch or tag of a repository.
public struct Revision: Sendable, Hashable {
    /// The kind of revision.
    public enum Kind: String, Sendable, Hashable {
        /// A branch, such as `main`.
        case branch
        /// A tag, such as `step590532`.
        case tag
        /// A branch written by the Hub, such as the Parquet conversion of a dataset.
        case conversion
    }

    /// The name.
    public let name: String
    /// The kind of revision.
    public let kind: Kind
    /// The commit it points to.
    public let commit: String

    /// The phase and optimizer step, if the name is that of an intermediate checkpoint.
    public var checkpoint: CheckpointTag? { kind == .conversion ? nil : CheckpointTag(name) }
}

/// The tag of an intermediate checkpoint: a training phase and the optimizer step within it.
public struct CheckpointTag: Sendable, Hashable, Comparable, CustomStringConvertible {
    /// The phases in training order.
    public enum Phase: String, Sendable, Hashable, CaseIterable {
        /// Main pre-training.
        case pretraining = "step"
        /// Context extension.
        case contextExtension = "ext"
        /// Decay.
        case decay
    }

    /// The phase.
    public let phase: Phase
    /// The optimizer step within the phase.
    public let step: Int

    /// Reads a name such as `step590532`, `ext1000` or `decay100`; nil for any other.
    ///
    /// - Parameter name: The name of a tag or branch.
    public init?(_ name: String) {
        for phase in Phase.allCases where name.hasPrefix(phase.rawValue) {
            let digits = name.dropFirst(phase.rawValue.count)
            guard !digits.isEmpty, digits.utf8.allSatisfy({ $0 >= 0x30 && $0 <= 0x39 }), let step = Int(digits) else {
                continue
            }
            self.phase = phase
            self.step = step
            return
        }
        return nil
    }

    /// The name of the tag.
    public var description: String { "\(phase.rawValue)\(step)" }

    /// Whether a checkpoint was written before another in training.
    public static func < (left: CheckpointTag, right: CheckpointTag) -> Bool {
        let phases = Phase.allCases
        guard left.phase == right.phase else {
            return phases.firstIndex(of: left.phase) ?? 0 < phases.firstIndex(of: right.phase) ?? 0
        }
        return left.step < right.step
    }
}

extension HubClient {
    /// Lists the branches and tags of a repository.
    ///
    /// - Parameter repository: The repository.
    /// - Returns: Intermediate checkpoints in training order, then the other revisions in the Hub's order.
    /// - Throws: `HubError`.
    public func revisions(of repository: HubRepository) async throws -> [Revision] {
        let action = "listing the revisions of \(repository)"
        let address = try session.address("/api/\(repository.kind.plural)/\(repository.id)/refs")
        let answer = try await read(address, of: try HubReference(repository), action: action).value
        let lists: [(String, Revision.Kind)] = [("tags", .tag), ("branches", .branch), ("converts", .conversion)]
        guard lists.contains(where: { answer[$0.0]?.arrayValue != nil }) else {
            throw HubError.malformedAnswer(action: action, reason: "it has neither \"branches\" nor \"tags\"")
        }
        let revisions = try lists.flatMap { key, kind in
            try (answer[key]?.arrayValue ?? []).map { entry in
                guard let name = entry["name"]?.stringValue, let commit = entry["targetCommit"]?.stringValue else {
                    throw HubError.malformedAnswer(action: action, reason: "a revision has no name or targetCommit")
                }
                return Revision(name: name, kind: kind, commit: commit)
            }
        }
        let checkpoints = revisions.compactMap { revision in revision.checkpoint.map { (tag: $0, revision: revision) } }
            .sorted { $0.tag < $1.tag }
        return checkpoints.map(\.revision) + revisions.filter { $0.checkpoint == nil }
    }
}
