extension Tokenizer {
    /// Encodes a text, or a pair of texts.
    ///
    /// - Parameters:
    ///   - text: The text.
    ///   - pair: The second text of a pair.
    ///   - addSpecialTokens: Whether to add the special tokens of `specialTokenRule`.
    /// - Returns: Ids, type ids, offsets and special-token mask; nothing is truncated or padded.
    public func encode(_ text: String, pair: String? = nil, addSpecialTokens: Bool = true) -> Encoding {
        workers.withWorker { worker in
            let first = withUTF8(text) { part(worker, $0) }
            let second = pair.map { pair in withUTF8(pair) { part(worker, $0) } }
            return assemble(first, second, addSpecialTokens: addSpecialTokens)
        }
    }

    /// Encodes a text without offsets, which take eight times the memory of the ids.
    ///
    /// - Parameters:
    ///   - text: The text.
    ///   - addSpecialTokens: Whether to add the special tokens of `specialTokenRule`.
    /// - Returns: An encoding whose `offsets` lack those of the text.
    package func encodeWithoutOffsets(_ text: String, addSpecialTokens: Bool) -> Encoding {
        workers.withWorker { worker in
            let part = withUTF8(text) { bytes in
                worker.state.encode(bytes, offsets: false, texts: true, splitting: file.splitting)
                let ids = Array(worker.state.ids.buffer)
                return EncodedPart(ids: ids, offsets: [], tokenTexts: worker.state.tokenTexts)
            }
            return assemble(part, nil, addSpecialTokens: addSpecialTokens)
        }
    }

    /// Encodes bytes, or a pair of byte strings.
    ///
    /// Ill-formed UTF-8 is read as Python's `bytes.decode("utf-8", errors="replace")` reads it: each maximal ill-formed
    /// part becomes U+FFFD. Offsets count characters of the text so repaired.
    ///
    /// - Parameters:
    ///   - utf8: The text.
    ///   - pair: The second text of a pair.
    ///   - addSpecialTokens: Whether to add the special tokens of `specialTokenRule`.
    /// - Returns: Ids, type ids, offsets and special-token mask; nothing is truncated or padded.
    public func encode(utf8: [UInt8], pair: [UInt8]? = nil, addSpecialTokens: Bool = true) -> Encoding {
        encode(
            String(decoding: utf8, as: UTF8.self),
            pair: pair.map { String(decoding: $0, as: UTF8.self) },
            addSpecialTokens: addSpecialTokens
        )
    }

    /// Encodes a text to ids only, which takes about half the time of `encode`.
    ///
    /// - Parameters:
    ///   - text: The text.
    ///   - pair: The second text of a pair.
    ///   - addSpecialTokens: Whether to add the special tokens of `specialTokenRule`.
    /// - Returns: The ids; nothing is truncated or padded.
    public func encodeIDs(_ text: String, pair: String? = nil, addSpecialTokens: Bool = true) -> [Int32] {
        workers.withWorker { worker in
            encodeIDs(worker, text, pair, addSpecialTokens: addSpecialTokens)
        }
    }

    func encodeIDs(
        _ worker: EncodingWorker,
        _ text: String,
        _ pair: String?,
        addSpecialTokens: Bool
    ) -> [Int32] {
        var result: [Int32] = []
        for part in parts(hasPair: pair != nil, addSpecialTokens: addSpecialTokens) {
            switch part {
            case .special(let ids, _): result.append(contentsOf: ids)
            case .text(let second, _):
                withUTF8(second ? pair ?? "" : text) {
                    worker.state.encode($0, offsets: false, splitting: file.splitting)
                }
                result.append(contentsOf: worker.state.ids.buffer)
            }
        }
        return result
    }

    // MARK: - Parts

    /// One text of an encoding before special tokens are added.
    struct EncodedPart {
        let ids: [Int32]
        let offsets: [Range<Int>]
        let tokenTexts: [Int: String]
    }

    func part(_ worker: EncodingWorker, _ text: UnsafeBufferPointer<UInt8>) -> EncodedPart {
        worker.state.encode(text, offsets: true, splitting: file.splitting)
        // Kept out of the closure: a tokenizer is a large value to copy for each token.
        let (core, ids, texts) = (core, Array(worker.state.ids.buffer), worker.state.tokenTexts)
        for addsPrefixSpace in file.postProcessor.trimming {
            PostProcessor.trim(&worker.state.spans, addsPrefixSpace: addsPrefixSpace) { index in
                Self.outerSpaces(ids[index], texts.isEmpty ? nil : texts[index], core)
            }
        }
        var offsets: [Range<Int>] = []
        offsets.reserveCapacity(worker.state.spans.count)
        for index in 0..<worker.state.spans.count {
            let span = worker.state.spans[index]
            // Composition can leave a token with an end before its start; Range does not have those.
            offsets.append(span.start..<max(span.start, span.end))
        }
        return EncodedPart(ids: ids, offsets: offsets, tokenTexts: texts)
    }

    func assemble(_ first: EncodedPart, _ second: EncodedPart?, addSpecialTokens: Bool) -> Encoding {
        var encoding = Encoding(core: core)
        for part in parts(hasPair: second != nil, addSpecialTokens: addSpecialTokens) {
            switch part {
            case .special(let ids, let typeID):
                encoding.ids += ids
                encoding.typeIDs += repeatElement(typeID, count: ids.count)
                encoding.offsets += repeatElement(0..<0, count: ids.count)
                encoding.specialTokensMask += repeatElement(true, count: ids.count)
            case .text(let isSecond, let typeID):
                guard let text = isSecond ? second : first else { continue }
                for (position, token) in text.tokenTexts { encoding.tokenTexts[encoding.count + position] = token }
                encoding.ids += text.ids
                encoding.typeIDs += repeatElement(typeID, count: text.ids.count)
                encoding.offsets += text.offsets
                encoding.specialTokensMask += repeatElement(false, count: text.ids.count)
            }
        }
        return encoding
    }

    private func parts(hasPair: Bool, addSpecialTokens: Bool) -> [PostProcessor.Part] {
        PostProcessor.parts(
            specialTokenRule,
            template: file.postProcessor.template,
            hasPair: hasPair,
            addsSpecialTokens: addSpecialTokens,
            bosID: bosTokenID,
            eosID: eosTokenID
        )
    }

    /// White space characters at both ends of a token's text; the byte alphabet writes a space as `Ġ`.
    private static func outerSpaces(
        _ id: Int32,
        _ text: String?,
        _ core: TokenizerCore
    ) -> (leading: Int, trailing: Int) {
        if let text {
            var text = text
            return text.withUTF8(outerSpaces)
        }
        return core.encodedBytes(of: Int(id)).map(outerSpaces) ?? (0, 0)
    }

    private static func outerSpaces(_ text: UnsafeBufferPointer<UInt8>) -> (leading: Int, trailing: Int) {
        func isSpace(_ scalar: UInt32) -> Bool {
            if scalar == 0x120 { return true }
            return UnicodeProperties.shared.flags[Int(scalar)] & UnicodeProperties.classMask == UnicodeProperties.space
        }
        var (leading, trailing) = (0, 0)
        var position = 0
        while position < text.count {
            let (scalar, next) = decodeScalar(text, position)
            guard isSpace(scalar) else { break }
            leading += 1
            position = next
        }
        position = text.count
        while position > 0 {
            repeat { position -= 1 } while position > 0 && text[position] & 0xC0 == 0x80
            guard isSpace(decodeScalar(text, position).scalar) else { break }
            trailing += 1
        }
        return (leading, trailing)
    }

    /// Gives the UTF-8 of a string to a closure, without copying for native strings.
    func withUTF8<Result>(_ text: String, _ body: (UnsafeBufferPointer<UInt8>) -> Result) -> Result {
        var text = text
        return text.withUTF8(body)
    }
}
