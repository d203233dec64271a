import ca.uhn.fhir.batch2.jobs.config.Batch2JobsConfig;
import ca.uhn.fhir.context.FhirContext;
import ca.uhn.fhir.context.support.IValidationSupport;
import ca.uhn.fhir.jpa.api.IDaoRegistry;
import ca.uhn.fhir.jpa.api.config.JpaStorageSettings;
import ca.uhn.fhir.jpa.api.config.ThreadPoolFactoryConfig;
import ca.uhn.fhir.jpa.api.dao.DaoRegistry;
import ca.uhn.fhir.jpa.api.dao.IFhirSystemDao;
import ca.uhn.fhir.jpa.batch2.JpaBatch2Config;
import ca.uhn.fhir.jpa.config.r4.JpaR4Config;
import ca.uhn.fhir.jpa.config.util.HapiEntityManagerFactoryUtil;
import ca.uhn.fhir.jpa.config.util.ResourceCountCacheUtil;
import ca.uhn.fhir.jpa.model.config.PartitionSettings;
import ca.uhn.fhir.jpa.model.config.SubscriptionSettings;
import ca.uhn.fhir.jpa.model.dialect.HapiFhirH2Dialect;
import ca.uhn.fhir.jpa.provider.DaoRegistryResourceSupportedSvc;
import ca.uhn.fhir.jpa.provider.IJpaSystemProvider;
import ca.uhn.fhir.jpa.provider.JpaCapabilityStatementProvider;
import ca.uhn.fhir.jpa.search.DatabaseBackedPagingProvider;
import ca.uhn.fhir.jpa.search.IStaleSearchDeletingSvc;
import ca.uhn.fhir.jpa.search.StaleSearchDeletingSvcImpl;
import ca.uhn.fhir.jpa.subscription.channel.config.SubscriptionChannelConfig;
import ca.uhn.fhir.jpa.subscription.submit.config.SubscriptionSubmitterConfig;
import ca.uhn.fhir.jpa.util.ResourceCountCache;
import ca.uhn.fhir.rest.api.EncodingEnum;
import ca.uhn.fhir.rest.api.IResourceSupportedSvc;
import ca.uhn.fhir.rest.server.RestfulServer;
import ca.uhn.fhir.rest.server.provider.ResourceProviderFactory;
import ca.uhn.fhir.rest.server.util.ISearchParamRegistry;
import jakarta.persistence.EntityManagerFactory;
import jakarta.servlet.DispatcherType;
import jakarta.servlet.FilterChain;
import jakarta.servlet.ServletException;
import jakarta.servlet.http.HttpFilter;
import jakarta.servlet.http.HttpServlet;
import jakarta.servlet.http.HttpServletRequest;
import jakarta.servlet.http.HttpServletResponse;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.sql.Blob;
import java.sql.Clob;
import java.sql.Connection;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.util.ArrayList;
import java.util.EnumSet;
import java.util.List;
import java.util.Properties;
import java.util.zip.GZIPInputStream;
import javax.sql.DataSource;
import org.eclipse.jetty.ee10.servlet.FilterHolder;
import org.eclipse.jetty.ee10.servlet.ServletContextHandler;
import org.eclipse.jetty.ee10.servlet.ServletHolder;
import org.eclipse.jetty.server.Server;
import org.eclipse.jetty.server.ServerConnector;
import org.h2.jdbcx.JdbcConnectionPool;
import org.springframework.beans.factory.config.ConfigurableListableBeanFactory;
import org.springframework.context.annotation.AnnotationConfigApplicationContext;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Configuration;
import org.springframework.context.annotation.Import;
import org.springframework.orm.jpa.JpaTransactionManager;
import org.springframework.orm.jpa.LocalContainerEntityManagerFactoryBean;
import org.springframework.transaction.annotation.EnableTransactionManagement;

/**
 * HAPI FHIR's JPA server over an H2 file, on 127.0.0.1. Arguments: folder, port (0: any free one).
 * The port is written to the folder's file `port` once it answers.
 *
 * <p>For tests, -Dbench=true serves some resource types only, and adds /bench: `stored` shows every cell of every table, packed resources
 * unpacked; `copy` writes a copy of the database's file; `expunge` and `authorization` switch what
 * the server allows while it runs.
 */
public class FhirServer {
  static final List<String> TYPES = List.of(
      "Basic", "CarePlan", "Communication", "Condition", "Consent", "Encounter", "EpisodeOfCare",
      "Flag", "Observation", "Patient", "Provenance", "QuestionnaireResponse", "RelatedPerson",
      "RiskAssessment", "SearchParameter", "ServiceRequest", "Task");
  static Path home;
  static volatile String authorization = "";

  public static void main(String[] arguments) throws Exception {
    home = Path.of(arguments[0]).toAbsolutePath();
    AnnotationConfigApplicationContext beans = new AnnotationConfigApplicationContext(Beans.class);
    if (Boolean.getBoolean("bench")) {
      beans.getBean(DaoRegistry.class).setSupportedResourceTypes(TYPES);
    }
    RestfulServer fhir = new RestfulServer(beans.getBean(FhirContext.class));
    fhir.registerProviders(beans.getBean(ResourceProviderFactory.class).createProviders());
    fhir.registerProvider(beans.getBean(IJpaSystemProvider.class));
    fhir.setServerConformanceProvider(new JpaCapabilityStatementProvider(
        fhir,
        beans.getBean(IFhirSystemDao.class),
        beans.getBean(JpaStorageSettings.class),
        beans.getBean(ISearchParamRegistry.class),
        beans.getBean(IValidationSupport.class)));
    fhir.setPagingProvider(beans.getBean(DatabaseBackedPagingProvider.class));
    fhir.setDefaultResponseEncoding(EncodingEnum.JSON);

    Server server = new Server();
    ServerConnector connector = new ServerConnector(server, 1, 1);
    connector.setHost("127.0.0.1");
    connector.setPort(Integer.parseInt(arguments[1]));
    server.addConnector(connector);
    ServletContextHandler root = new ServletContextHandler("/");
    root.addFilter(new FilterHolder(new Door()), "/fhir/*", EnumSet.of(DispatcherType.REQUEST));
    root.addServlet(new ServletHolder(fhir), "/fhir/*");
    if (Boolean.getBoolean("bench")) {
      root.addServlet(new ServletHolder(new Bench(
          beans.getBean(DataSource.class), beans.getBean(JpaStorageSettings.class))), "/bench/*");
    }
    server.setHandler(root);
    server.start();
    Runtime.getRuntime().addShutdownHook(new Thread(beans::close));
    Path draft = Files.writeString(home.resolve("port.draft"), "" + connector.getLocalPort());
    Files.move(draft, home.resolve("port"), StandardCopyOption.ATOMIC_MOVE);
    server.join();
  }

  /** Whoever does not send the header that is asked for, if any, is sent away. */
  static class Door extends HttpFilter {
    @Override
    protected void doFilter(HttpServletRequest asked, HttpServletResponse answer, FilterChain rest)
        throws IOException, ServletException {
      if (authorization.isEmpty() || authorization.equals(asked.getHeader("Authorization"))) {
        rest.doFilter(asked, answer);
      } else {
        answer.sendError(HttpServletResponse.SC_UNAUTHORIZED);
      }
    }
  }

  static class Bench extends HttpServlet {
    private final DataSource source;
    private final JpaStorageSettings settings;

    Bench(DataSource source, JpaStorageSettings settings) {
      this.source = source;
      this.settings = settings;
    }

    @Override
    protected void doPost(HttpServletRequest asked, HttpServletResponse answer) throws IOException {
      String told = new String(asked.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
      switch (asked.getPathInfo()) {
        case "/expunge" -> settings.setExpungeEnabled(Boolean.parseBoolean(told));
        case "/authorization" -> authorization = told;
        case "/copy" -> copy(told);
        default -> answer.sendError(HttpServletResponse.SC_NOT_FOUND);
      }
    }

    private void copy(String zip) throws IOException {
      try (Connection database = source.getConnection()) {
        database.createStatement().execute("CHECKPOINT SYNC");
        database.createStatement().execute("BACKUP TO '" + zip.replace("'", "''") + "'");
      } catch (SQLException wrong) {
        throw new IOException(wrong);
      }
    }

    @Override
    protected void doGet(HttpServletRequest asked, HttpServletResponse answer) throws IOException {
      try (Connection database = source.getConnection()) {
        List<String> tables = new ArrayList<>();
        try (ResultSet found = database.getMetaData().getTables(null, "PUBLIC", "%", new String[] {"TABLE", "BASE TABLE"})) {
          while (found.next()) {
            tables.add(found.getString("TABLE_NAME"));
          }
        }
        OutputStream out = answer.getOutputStream();
        for (String table : tables) {
          try (ResultSet rows = database.createStatement().executeQuery("SELECT * FROM \"" + table + "\"")) {
            while (rows.next()) {
              out.write((table + "\n").getBytes(StandardCharsets.UTF_8));
              for (int column = 1; column <= rows.getMetaData().getColumnCount(); column++) {
                out.write(cell(rows.getObject(column)));
                out.write('\n');
              }
            }
          }
        }
      } catch (SQLException wrong) {
        throw new IOException(wrong);
      }
    }

    private static byte[] cell(Object value) throws SQLException, IOException {
      byte[] bytes;
      if (value instanceof Blob blob) {
        bytes = blob.getBytes(1, (int) blob.length());
      } else if (value instanceof Clob clob) {
        bytes = clob.getSubString(1, (int) clob.length()).getBytes(StandardCharsets.UTF_8);
      } else if (value instanceof byte[] raw) {
        bytes = raw;
      } else {
        bytes = String.valueOf(value).getBytes(StandardCharsets.UTF_8);
      }
      if (bytes.length > 2 && bytes[0] == 0x1f && bytes[1] == (byte) 0x8b) {
        return new GZIPInputStream(new ByteArrayInputStream(bytes)).readAllBytes();
      }
      return bytes;
    }
  }

  @Configuration
  @EnableTransactionManagement
  @Import({
    JpaR4Config.class,
    JpaBatch2Config.class,
    Batch2JobsConfig.class,
    SubscriptionSubmitterConfig.class,
    SubscriptionChannelConfig.class,
    ThreadPoolFactoryConfig.class
  })
  public static class Beans {
    @Bean
    public JpaStorageSettings storageSettings() {
      JpaStorageSettings settings = new JpaStorageSettings();
      settings.setExpungeEnabled(true);
      settings.setAllowMultipleDelete(true);
      settings.setSchedulingDisabled(true);
      settings.setResourceClientIdStrategy(JpaStorageSettings.ClientIdStrategyEnum.ANY);
      settings.setReuseCachedSearchResultsForMillis(null);
      return settings;
    }

    @Bean
    public PartitionSettings partitionSettings() {
      return new PartitionSettings();
    }

    @Bean
    public SubscriptionSettings subscriptionSettings() {
      return new SubscriptionSettings();
    }

    @Bean(destroyMethod = "dispose")
    public DataSource dataSource() {
      return JdbcConnectionPool.create("jdbc:h2:file:" + home.resolve("fhir") + ";DB_CLOSE_ON_EXIT=FALSE", "sa", "");
    }

    @Bean
    public LocalContainerEntityManagerFactoryBean entityManagerFactory(
        ConfigurableListableBeanFactory beans,
        FhirContext fhir,
        JpaStorageSettings settings,
        DataSource source) {
      LocalContainerEntityManagerFactoryBean made =
          HapiEntityManagerFactoryUtil.newEntityManagerFactory(beans, fhir, settings);
      made.setPersistenceUnitName("HAPI_PU");
      made.setDataSource(source);
      Properties hibernate = new Properties();
      hibernate.put("hibernate.dialect", HapiFhirH2Dialect.class.getName());
      hibernate.put("hibernate.hbm2ddl.auto", "update");
      hibernate.put("hibernate.search.enabled", "false");
      hibernate.put("hibernate.jdbc.batch_size", "20");
      made.setJpaProperties(hibernate);
      return made;
    }

    @Bean
    public JpaTransactionManager transactionManager(EntityManagerFactory factory) {
      return new JpaTransactionManager(factory);
    }

    @Bean
    public DatabaseBackedPagingProvider databaseBackedPagingProvider() {
      DatabaseBackedPagingProvider pages = new DatabaseBackedPagingProvider();
      pages.setMaximumPageSize(1000);
      return pages;
    }

    @Bean
    public IResourceSupportedSvc resourceSupportedSvc(IDaoRegistry registry) {
      return new DaoRegistryResourceSupportedSvc(registry);
    }

    @Bean(name = "myResourceCountsCache")
    public ResourceCountCache resourceCounts(IFhirSystemDao<?, ?> system) {
      return ResourceCountCacheUtil.newResourceCountCache(system);
    }

    @Bean
    public IStaleSearchDeletingSvc staleSearchDeletingSvc() {
      return new StaleSearchDeletingSvcImpl();
    }
  }
}
