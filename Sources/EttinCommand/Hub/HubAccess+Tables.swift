import EttinFiles
import EttinHub
import EttinTables

extension HubAccess {
    /// Downloads the split of a data set that a reference means, for `TableOpening`.
    ///
    /// The Hub's Parquet conversion is preferred where it is whole. Other data sets are read as folders are, by their
    /// card and the names of their files.
    ///
    /// - Parameter reference: The data set, with configuration and split.
    /// - Returns: The paths of the files.
    /// - Throws: `HubError`, or `TableError` listing what there is when it has no such split.
    static func files(of reference: DatasetReference) throws -> [String] {
        guard case .hub(let name) = reference.location else { return [] }
        let dataset = try HubReference(name, kind: .dataset, revision: nil)
        return try run { hub in
            let commit = try HubReference(dataset.repository, revision: try await hub.info(of: dataset).commit)
            func originals() async throws -> [DatasetSplitFiles] {
                let listing = try await hub.files(of: commit).map(\.path)
                let card = listing.contains("README.md") ? try await hub.file("README.md", of: commit) : nil
                return try DatasetFiles.splits(in: listing, card: card.map { try OpenFile.contents(of: $0) })
            }
            let converted = try await hub.convertedSplits(of: dataset)
            if !converted.isEmpty {
                // The conversion does not say which of several configurations is the default one; the card does.
                let hasSeveral = Set(converted.map(\.configuration)).count > 1 && reference.qualifiers.count < 2
                let flagged = hasSeveral ? try await originals().first(where: \.isDefault)?.configuration : nil
                let chosen = try reference.choices(
                    among: converted.map { ($0.configuration, $0.split) },
                    defaultConfiguration: flagged ?? "default"
                ).map { converted[$0] }
                if !chosen.contains(where: \.isPartial) {
                    var files: [String] = []
                    for split in chosen { files += try await hub.download(split) }
                    return files
                }
            }
            return try await hub.download(reference.files(among: originals()), of: commit)
        }
    }
}
