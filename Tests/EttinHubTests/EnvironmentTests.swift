import TestSupport
import Testing

@testable import EttinHub

@Suite("The environment")
struct EnvironmentTests {
    @Test("Folders follow HF_HUB_CACHE, HF_HOME, XDG_CACHE_HOME and HOME, in this order")
    func folders() throws {
        var variables = ["HOME": "/home/me"]
        #expect(try HubEnvironment(variables).cacheFolder == "/home/me/.cache/huggingface/hub")
        variables["XDG_CACHE_HOME"] = "/xdg"
        #expect(try HubEnvironment(variables).cacheFolder == "/xdg/huggingface/hub")
        variables["HF_HOME"] = "~/hf"
        #expect(try HubEnvironment(variables).cacheFolder == "/home/me/hf/hub")
        variables["HF_HUB_CACHE"] = "$HOME/a/${HF_HOME}/$NOT_SET"
        #expect(try HubEnvironment(variables).cacheFolder == "/home/me/a/~/hf/$NOT_SET")
    }

    @Test("The token comes from HF_TOKEN, else from the token file; an empty variable counts as unset")
    func tokens() throws {
        let folder = try TemporaryFolder()
        try folder.write(" hf_file\n", "token")
        let base = ["HF_HOME": folder.path]
        #expect(try HubEnvironment(base).token?.secret == "hf_file")
        #expect(try HubEnvironment(base.merging(["HF_TOKEN": ""]) { $1 }).token?.secret == "hf_file")
        #expect(try HubEnvironment(base.merging(["HUGGING_FACE_HUB_TOKEN": "hf_old"]) { $1 }).token?.secret == "hf_old")
        let both = base.merging(["HUGGING_FACE_HUB_TOKEN": "hf_old", "HF_TOKEN": "hf_new"]) { $1 }
        #expect(try HubEnvironment(both).token?.secret == "hf_new")
        #expect(try HubEnvironment(["HF_TOKEN_PATH": folder.file("token")]).token?.secret == "hf_file")
        #expect(try HubEnvironment(["HF_HOME": "/nowhere"]).token == nil)
    }

    @Test("A token is never part of a description, a dump or an error")
    func tokensStayHidden() throws {
        let environment = try HubEnvironment(["HF_TOKEN": "hf_secret", "HF_HOME": "/nowhere"])
        var dumped = ""
        dump(environment, to: &dumped)
        #expect(!dumped.contains("hf_secret"))
        #expect(!"\(environment) \(String(reflecting: environment))".contains("hf_secret"))
        let error = #expect(throws: HubError.self) { try HubEnvironment(["HF_TOKEN": "hf_secret with spaces"]) }
        #expect(error?.description.contains("hf_secret") == false)
    }

    @Test("The first offline variable that is set decides")
    func offline() throws {
        func setting(_ variables: [String: String]) throws -> String? {
            try HubEnvironment(variables.merging(["HF_HOME": "/nowhere"]) { $1 }).offlineSetting
        }
        #expect(try setting([:]) == nil)
        #expect(try setting(["HF_HUB_OFFLINE": "yes"]) == "HF_HUB_OFFLINE")
        #expect(try setting(["TRANSFORMERS_OFFLINE": "1"]) == "TRANSFORMERS_OFFLINE")
        #expect(try setting(["HF_HUB_OFFLINE": "0", "TRANSFORMERS_OFFLINE": "1"]) == nil)
    }

    @Test(
        "A setting that cannot be used is an error that names it and hides secrets",
        arguments: [
            ("HF_ENDPOINT", "huggingface.co"), ("HF_ENDPOINT", "https://me:secret@mirror"),
            ("HF_HUB_ETAG_TIMEOUT", "soon"), ("HF_HUB_DOWNLOAD_TIMEOUT", "-1"),
            ("https_proxy", "ftp://user:secret@proxy:1"), ("http_proxy", "socks4://user:secret@proxy:1"),
        ]
    )
    func badSettings(name: String, value: String) throws {
        let error = #expect(throws: HubError.self) { try HubEnvironment([name: value, "HF_HOME": "/nowhere"]) }
        let text = try #require(error).description
        #expect(text.contains(name))
        #expect(!text.contains("secret"))
    }

    @Test("A proxy is chosen by scheme, and no_proxy excepts hosts and their sub-domains")
    func proxies() throws {
        let settings = try ProxySettings([
            "HTTP_PROXY": "http://upper:1", "http_proxy": "proxy:8080", "https_proxy": "http://me:pw@tls-proxy:3128",
            "NO_PROXY": "localhost, .internal.example,10.0.0.1:5000",
        ])
        func host(_ address: String) throws -> String? {
            settings.server(for: try #require(WebAddress(address)))?.host
        }
        #expect(try host("http://a.example/x") == "proxy")
        #expect(try host("https://a.example") == "tls-proxy")
        #expect(try host("http://localhost:99/x") == nil)
        #expect(try host("https://hub.internal.example") == nil)
        #expect(try host("https://internal.example") == nil)
        #expect(try host("https://notinternal.example") == "tls-proxy")
        #expect(try host("http://10.0.0.1:5000") == nil)
        #expect(try host("http://10.0.0.1:5001") == "proxy")
        let address = try #require(WebAddress("https://a.example"))
        let proxy = try #require(settings.server(for: address))
        #expect(proxy.port == 3128 && proxy.user == "me" && proxy.password == "pw")
        #expect(proxy.kind == .http)
        let plain = try #require(WebAddress("http://a.example/x"))
        let socks = try ProxySettings(["all_proxy": "socks5://me:p%40w@s"]).server(for: plain)
        #expect(socks?.kind == .socks5 && socks?.port == 1080 && socks?.password == "p@w")
        let encrypted = try ProxySettings(["all_proxy": "https://s:1"]).server(for: plain)
        #expect(encrypted?.kind == .https && encrypted?.port == 1)
        #expect(ProxySettings.none.server(for: plain) == nil)
        let everything = try ProxySettings(["all_proxy": "socks5://s:1", "no_proxy": "*"])
        #expect(everything.server(for: try #require(WebAddress("http://a.example"))) == nil)
    }
}
