public import ArgumentParser
public import EttinHub

extension RepositoryKind: ExpressibleByArgument {}

/// A repository on the Hub.
struct RepositoryArgument: ParsableArguments {
    @Argument(help: "Hub repository (owner/name) or suite model name.")
    var repository: String

    @Option(help: "Type of repository.")
    var kind = RepositoryKind.model

    /// The repository at a revision.
    func reference(revision: String? = nil) throws -> HubReference {
        try HubAccess.hubReference(repository, kind: kind, revision: revision)
    }
}
