// The certified provider for SMART backend services: node backend.mjs PORT PUBLIC_JWK
// Prints its token endpoint when it answers. One client, known by its public key alone.
import { Provider } from "oidc-provider";

const [port, jwk] = process.argv.slice(2);
const issuer = `http://localhost:${port}`;

const provider = new Provider(issuer, {
  clients: [
    {
      client_id: "nrm-connector",
      grant_types: ["client_credentials"],
      redirect_uris: [],
      response_types: [],
      scope: "system/*.crud",
      token_endpoint_auth_method: "private_key_jwt",
      jwks: { keys: [JSON.parse(jwk)] },
    },
  ],
  scopes: ["system/*.crud"],
  enabledJWA: { clientAuthSigningAlgValues: ["ES384", "RS384"] },
  cookies: { keys: ["for-tests-only"] },
  features: { clientCredentials: { enabled: true } },
  ttl: { ClientCredentials: 120 },
});

const server = provider.listen(Number(port), "127.0.0.1", () => console.log(`${issuer}/token`));
process.on("SIGTERM", () => server.close(() => process.exit(0)));
