import ArgumentParser
import EttinHub
import EttinJSON

/// The command `ettin revisions`.
struct Revisions: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "List the checkpoints, tags and branches of a repository on the Hub.",
        discussion: """
            Intermediate checkpoints come first, in training order: step (main
            pre-training), ext (context extension), decay.

            Examples:

              ettin revisions jhu-clsp/ettin-encoder-17m
              ettin revisions ettin-decoder-1b --json
            """
    )

    @OptionGroup var repository: RepositoryArgument
    @OptionGroup var json: JSONOption

    func run() throws {
        let repository = try self.repository.reference().repository
        let revisions = try HubAccess.run { try await $0.revisions(of: repository) }
        if json.isOn { return try StandardOutput.write(document: .array(revisions.map(document(of:)))) }
        let width = revisions.map(\.name.count).max() ?? 0
        try StandardOutput.write { output in
            for revision in revisions {
                let phase = revision.checkpoint?.phase.title ?? revision.kind.rawValue
                try output.line("\(revision.name.padded(to: width))  \(phase.padded(to: 17))  \(revision.commit)")
            }
        }
    }

    private func document(of revision: Revision) -> JSONValue {
        [
            "name": .string(revision.name),
            "kind": .string(revision.kind.rawValue),
            "phase": revision.checkpoint.map { .string($0.phase.rawValue) } ?? .null,
            "step": revision.checkpoint.map { JSONValue($0.step) } ?? .null,
            "commit": .string(revision.commit),
        ]
    }
}

extension CheckpointTag.Phase {
    /// The phase for people.
    var title: String {
        switch self {
        case .pretraining: "pre-training"
        case .contextExtension: "context extension"
        case .decay: "decay"
        }
    }
}
