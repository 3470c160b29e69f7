package import EttinModel

extension MultiVectorModel {
    /// Which tokens of a text have a vector that counts.
    ///
    /// - Parameter text: The text, of a role.
    /// - Returns: Their places in the text; nil for all.
    package func scoredTokens(of text: PreparedText) -> [Int]? {
        guard let mask else { return nil }
        let counts = mask.rule(for: text.task)
        let places = text.tokenIDs.indices.filter { counts(text.tokenIDs[$0]) }
        return places.count == text.tokenIDs.count ? nil : places
    }
}
