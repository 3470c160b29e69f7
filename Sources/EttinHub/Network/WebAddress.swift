import Ccurl

/// An absolute http or https address, taken apart by the library that connects to it: another one might find another
/// host in the same text, and send the token there.
struct WebAddress: Hashable, Sendable {
    /// The address as it is sent.
    let text: String
    let scheme: String
    /// The host; an IPv6 address is in brackets.
    let host: String
    /// The port, when the text names one.
    let writtenPort: Int?
    let user: String?
    let password: String?
    let query: String?

    init?(_ text: String) {
        // Programs do not agree on what a backslash ends.
        guard text.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F && $0 != UInt8(ascii: "\\") }),
            let parts = AddressParts(text),
            let scheme = parts[CURLUPART_SCHEME]?.lowercased(), scheme == "http" || scheme == "https",
            let host = parts[CURLUPART_HOST], !host.isEmpty
        else { return nil }
        self.text = text
        self.scheme = scheme
        self.host = host
        writtenPort = parts[CURLUPART_PORT].flatMap { Int($0) }
        user = parts[CURLUPART_USER, CURLU_URLDECODE]
        password = parts[CURLUPART_PASSWORD, CURLU_URLDECODE]
        query = parts[CURLUPART_QUERY]
    }

    var port: Int { writtenPort ?? (scheme == "https" ? 443 : 80) }

    /// Where a `Location` header of this address's answer leads.
    func following(_ location: String) -> WebAddress? {
        // A signed address stays as it is, to the letter.
        let target = WebAddress(location) ?? AddressParts(text)?.resolving(location).flatMap { WebAddress($0) }
        return target.flatMap { scheme == "https" && $0.scheme == "http" ? nil : $0 }
    }

    /// Whether both addresses are served by the same server, the only case in which a token may go along.
    func hasSameOrigin(as other: WebAddress) -> Bool {
        scheme == other.scheme && host.lowercased() == other.host.lowercased() && port == other.port
    }

    /// The host and, where it is not the usual one, the port.
    var displayedHost: String {
        port == (scheme == "https" ? 443 : 80) ? host : "\(host):\(port)"
    }

    /// A text that may be an address, without user, password and query, which can be secrets.
    static func withoutSecrets(_ text: String) -> String {
        var text =
            text.split(separator: "?", maxSplits: 1, omittingEmptySubsequences: false).first.map(String.init) ?? ""
        if let at = text.lastIndex(of: "@") {
            let parts = text.split(separator: "://", maxSplits: 1, omittingEmptySubsequences: false)
            text = (parts.count == 2 ? parts[0] + "://" : "") + "…@" + text[text.index(after: at)...]
        }
        return text
    }
}

/// An address in libcurl's hands.
private final class AddressParts {
    private let handle: OpaquePointer

    init?(_ text: String) {
        guard let handle = curl_url() else { return nil }
        self.handle = handle
        guard curl_url_set(handle, CURLUPART_URL, text, 0) == CURLUE_OK else { return nil }
    }

    deinit {
        curl_url_cleanup(handle)
    }

    subscript(part: CURLUPart, flags: Int32 = 0) -> String? {
        var text: UnsafeMutablePointer<CChar>?
        guard curl_url_get(handle, part, &text, UInt32(flags)) == CURLUE_OK, let text else { return nil }
        defer { curl_free(text) }
        return String(cString: text)
    }

    /// The address of a relative one, or of one with characters that are to be encoded.
    func resolving(_ location: String) -> String? {
        guard curl_url_set(handle, CURLUPART_URL, location, UInt32(CURLU_URLENCODE)) == CURLUE_OK else { return nil }
        return self[CURLUPART_URL]
    }
}

/// Percent-encodes everything but unreserved characters and those allowed on top.
func percentEncoded(_ text: String, allowing extra: String = "") -> String {
    var result = ""
    for byte in text.utf8 {
        let isUnreserved =
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "_"), UInt8(ascii: "."),
                UInt8(ascii: "~"):
                true
            default: extra.utf8.contains(byte)
            }
        if isUnreserved {
            result.unicodeScalars.append(Unicode.Scalar(byte))
        } else {
            let digits = String(byte, radix: 16, uppercase: true)
            result += "%" + (digits.utf8.count == 1 ? "0" : "") + digits
        }
    }
    return result
}
