import EttinHub
import EttinTables

extension HubAccess {
    /// Downloads the split of a data set that a reference means, for `TableOpening`.
    ///
    /// The Hub's Parquet conversion is preferred where it is whole.
    ///
    /// - Parameter reference: The data set, with configuration and split.
    /// - Returns: The paths of the files.
    /// - Throws: `HubError`, or `TableError` listing what there is when it has no such split.
    static func files(of reference: DatasetReference) throws -> [String] {
        guard case .hub(let name) = reference.location else { return [] }
        let dataset = try HubReference(name, kind: .dataset, revision: nil)
        func chosen(prefersConversion: Bool) throws -> DatasetSplit {
            let splits = try run { try await $0.splits(of: dataset, prefersConversion: prefersConversion) }
            return splits[try reference.choice(among: splits.map { ($0.configuration, $0.split) })]
        }
        var split = try chosen(prefersConversion: true)
        if split.isPartial { split = try chosen(prefersConversion: false) }
        let wanted = split
        return try run { try await $0.download(wanted) }
    }
}
