import EttinFiles
import EttinJSON

/// How and where the store takes a large file.
private struct UploadInstruction: Sendable {
    struct Part: Sendable {
        let address: WebAddress
        let range: Range<Int>
    }

    /// Where to send the whole, or, when there are parts, where to tell that all are there.
    let address: WebAddress
    let headers: HeaderFields
    /// The parts, when the file is sent in several.
    let parts: [Part]
    /// Where to ask for a check afterwards.
    let verification: WebAddress?

    static let mediaType = "application/vnd.git-lfs+json"
    /// What is ours to send: the token goes to the Hub alone, and how the body travels is settled by the connection.
    private static let ownFields: Set = [
        "authorization", "connection", "content-length", "expect", "transfer-encoding",
    ]

    /// Reads the store's answer on one file.
    init(_ actions: JSONValue, file: UploadPlan.File, action: String) throws {
        func malformed(_ reason: String) -> HubError { .malformedAnswer(action: action, reason: reason) }
        func address(_ value: JSONValue?) throws -> WebAddress {
            guard let text = value?.stringValue, let address = WebAddress(text) else {
                throw malformed("an \"href\" is not a valid URL")
            }
            return address
        }
        let upload = actions["upload"]
        self.address = try address(upload?["href"])
        verification = try actions["verify"].map { try address($0["href"]) }
        let header = upload?["header"]?.objectValue?.members ?? []
        let size = header.first { $0.key == "chunk_size" }?.value
        guard let size else {
            let fields = header.compactMap { member in member.value.stringValue.map { (member.key, $0) } }
            guard fields.allSatisfy({ HeaderFields.isValid(name: $0.0, value: $0.1) }) else {
                throw malformed("a \"header\" is not a name and a value in one line")
            }
            headers = HeaderFields(fields.filter { !Self.ownFields.contains($0.0.lowercased()) })
            parts = []
            return
        }
        headers = [:]
        guard let partSize = size.intValue ?? size.stringValue.flatMap({ Int($0) }),
            partSize >= 1
        else {
            throw malformed("\"chunk_size\" is \(size), expected a number of bytes")
        }
        let numbered = header.compactMap { member in
            member.key.utf8.allSatisfy { $0 >= 0x30 && $0 <= 0x39 } ? Int(member.key).map { ($0, member.value) } : nil
        }.sorted { $0.0 < $1.0 }
        // A part may be larger than the file, and no number is added to it.
        let count = file.sizeBytes / partSize + (file.sizeBytes % partSize == 0 ? 0 : 1)
        guard numbered.count == count, numbered.enumerated().allSatisfy({ $0.element.0 == $0.offset + 1 }) else {
            throw malformed("it gives \(numbered.count) addresses for \(file.sizeBytes) bytes in parts of \(partSize)")
        }
        parts = try numbered.enumerated().map { index, part in
            let start = index * partSize
            return Part(
                address: try address(part.1),
                range: start..<start + min(partSize, file.sizeBytes - start)
            )
        }
    }
}

extension HubClient {
    /// Sends the large files of a plan to the store, except those that it has.
    func uploadLargeFiles(_ plan: inout UploadPlan, _ reference: HubReference) async throws {
        // Files with the same content are one object.
        var files: [String: UploadPlan.File] = [:]
        for file in plan.files(.large) { if let id = file.contentID { files[id] = file } }
        let ids = files.keys.sorted()
        for start in stride(from: 0, to: ids.count, by: 100) {
            let part = ids[start..<min(start + 100, ids.count)].compactMap { files[$0] }
            let instructions = try await instructions(for: part, reference)
            try await concurrently(part) { file in
                guard let instruction = instructions[file.contentID ?? ""] else { return }
                do {
                    try await self.upload(file, instruction)
                } catch HubError.rejected(_, 403, _) {
                    // The signed addresses have expired while other files were sent.
                    guard let fresh = try await self.instructions(for: [file], reference)[file.contentID ?? ""] else {
                        return
                    }
                    try await self.upload(file, fresh)
                }
                self.session.onEvent(.finished(path: file.path))
            }
        }
    }

    /// Asks the store how it takes files; it says nothing on those that it has.
    private func instructions(
        for files: [UploadPlan.File],
        _ reference: HubReference
    ) async throws -> [String: UploadInstruction] {
        let repository = reference.repository
        let action = "preparing the upload of large files to \(repository)"
        let objects = files.map { file -> JSONValue in
            ["oid": .init(file.contentID ?? ""), "size": .init(file.sizeBytes)]
        }
        let answer = try await post(
            "/\(repository.kind.addressPrefix)\(repository.id).git/info/lfs/objects/batch",
            [
                "operation": "upload", "transfers": ["basic", "multipart"], "objects": .array(objects),
                "hash_algo": "sha256", "ref": ["name": .init(reference.revision)],
            ],
            action: action,
            repository: repository,
            revision: reference.revision,
            mediaType: UploadInstruction.mediaType
        ).body
        var result: [String: UploadInstruction] = [:]
        for file in files {
            guard let object = answer["objects"]?.arrayValue?.first(where: { $0["oid"]?.stringValue == file.contentID })
            else {
                throw HubError.malformedAnswer(action: action, reason: "it does not mention \(quoted(file.path))")
            }
            if let error = object["error"] {
                throw HubError.rejected(
                    action: "uploading \(file.path)",
                    status: error["code"]?.intValue ?? 0,
                    message: cleaned(error["message"]?.stringValue ?? "")
                )
            }
            if let actions = object["actions"], actions["upload"] != nil {
                result[file.contentID ?? ""] = try UploadInstruction(actions, file: file, action: action)
            }
        }
        return result
    }

    private func upload(_ file: UploadPlan.File, _ instruction: UploadInstruction) async throws {
        let id: JSONValue = .init(file.contentID ?? "")
        if instruction.parts.isEmpty {
            try await put(file, 0..<file.sizeBytes, to: instruction.address, headers: instruction.headers)
        } else {
            var receipts: [JSONValue] = []
            for (index, part) in instruction.parts.enumerated() {
                let answer = try await put(file, part.range, to: part.address, headers: [:])
                guard let etag = answer.headers.first(name: "ETag"), !etag.isEmpty else {
                    throw HubError.malformedAnswer(action: "uploading \(file.path)", reason: "a part has no ETag")
                }
                receipts.append(["partNumber": .init(index + 1), "etag": .init(etag)])
            }
            try await tell(
                instruction.address,
                ["oid": id, "parts": .array(receipts)],
                file: file,
                mediaType: UploadInstruction.mediaType
            )
        }
        if let verification = instruction.verification {
            try await tell(
                verification,
                ["oid": id, "size": .init(file.sizeBytes)],
                file: file,
                mediaType: "application/json"
            )
        }
    }

    @discardableResult
    private func put(
        _ file: UploadPlan.File,
        _ range: Range<Int>,
        to address: WebAddress,
        headers: HeaderFields
    ) async throws -> HubResponse {
        var request = HubRequest(.put, address, action: "uploading \(file.path)")
        request.headers = headers
        let onEvent = session.onEvent
        request.body = .file(path: file.localPath, range: range) { sent in
            onEvent(.progress(path: file.path, completedBytes: sent, totalBytes: file.sizeBytes))
        }
        return try await sendToStore(request, file: file, usesToken: false)
    }

    private func tell(
        _ address: WebAddress,
        _ body: JSONValue,
        file: UploadPlan.File,
        mediaType: String
    ) async throws {
        var request = HubRequest(.post, address, action: "uploading \(file.path)")
        request.headers.add(name: "Content-Type", value: mediaType)
        request.headers.add(name: "Accept", value: mediaType)
        request.body = .bytes(body.serialized())
        // The session sends the token to the Hub's own server only.
        _ = try await sendToStore(request, file: file, usesToken: true)
    }

    private func sendToStore(
        _ request: HubRequest,
        file: UploadPlan.File,
        usesToken: Bool
    ) async throws -> HubResponse {
        let response = try await session.send(request, usesToken: usesToken)
        guard response.status < 300 else {
            throw await session.error(
                for: response,
                subject: RequestSubject(action: request.action, hasToken: usesToken)
            )
        }
        // The connection is free for the next request only when the answer is read.
        do {
            _ = try await response.bytes(limit: 1 << 24, action: request.action)
        } catch let failure as ConnectionFailure {
            throw failure.hubError
        }
        return response
    }
}
