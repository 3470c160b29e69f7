public import ArgumentParser
public import EttinHub

extension RepositoryKind: ExpressibleByArgument {}

/// A repository on the Hub.
struct RepositoryArgument: ParsableArguments {
    @Argument(help: "Repository on the Hub, owner/name or a model name of the suite.")
    var repository: String

    @Option(help: "Repository type: model, dataset or space.")
    var kind = RepositoryKind.model

    /// The repository at a revision.
    func reference(revision: String? = nil) throws -> HubReference {
        try HubAccess.hubReference(repository, kind: kind, revision: revision)
    }
}
