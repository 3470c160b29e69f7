import EttinJSON

extension HubClient {
    /// Lets the Hub validate the card before anything is sent: otherwise it would reject the commit after all large files
    /// were uploaded.
    func checkCard(_ plan: UploadPlan, _ repository: HubRepository) async throws {
        guard let card = plan.files.first(where: { $0.path == UploadPlan.cardName }) else { return }
        let text = String(decoding: try card.content(), as: UTF8.self)
        let response = try await post(
            "/api/validate-yaml",
            ["content": .init(text), "repoType": .init(repository.kind.rawValue)],
            action: "checking the metadata of \(card.path)",
            repository: repository,
            accepting: [400, 404]
        )
        func messages(_ key: String) -> [String] {
            (response.body[key]?.arrayValue ?? []).map { cleaned($0["message"]?.stringValue ?? "") }
        }
        for warning in messages("warnings") { session.onEvent(.warning("\(card.path): \(warning)")) }
        // A mirror may know no such check.
        guard response.status == 400 else { return }
        throw HubError.uploadRefused(
            reason: "the Hub rejects the metadata of \(card.path): \(messages("errors").joined(separator: "; "))"
        )
    }
}
