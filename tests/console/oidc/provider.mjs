// A certified OpenID provider on loopback, for tests: node provider.mjs PORT CALLBACK KEYID
// Prints its issuer when it answers. Anybody may sign in, under the name typed.
import { generateKeyPairSync } from "node:crypto";
import { Provider } from "oidc-provider";

const [port, callback, kid] = process.argv.slice(2);
const issuer = `http://localhost:${port}`;
const key = generateKeyPairSync("rsa", { modulusLength: 2048 }).privateKey.export({ format: "jwk" });

const provider = new Provider(issuer, {
  clients: [
    {
      client_id: "nrm-console",
      client_secret: "a-secret-of-the-tests",
      redirect_uris: [callback],
      post_logout_redirect_uris: [],
    },
    {
      client_id: "programs",
      client_secret: "another-secret-of-the-tests",
      grant_types: ["client_credentials"],
      redirect_uris: [],
      response_types: [],
    },
  ],
  jwks: { keys: [{ ...key, kid, use: "sig", alg: "RS256" }] },
  cookies: { keys: ["for-tests-only"] },
  features: {
    devInteractions: { enabled: true },
    clientCredentials: { enabled: true },
    resourceIndicators: {
      enabled: true,
      getResourceServerInfo: (_, resource) => ({
        audience: resource,
        scope: "ask",
        accessTokenFormat: "jwt",
        accessTokenTTL: 300,
      }),
    },
  },
  pkce: { required: () => true },
  findAccount: (_, id) => ({ accountId: id, claims: () => ({ sub: id }) }),
});

const server = provider.listen(Number(port), "127.0.0.1", () => console.log(issuer));
process.on("SIGTERM", () => server.close(() => process.exit(0)));
